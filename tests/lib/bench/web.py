# SPDX-License-Identifier: Apache-2.0
"""The demo shop behind a real nginx, and a real Chromium that walks through it.

In front of the shop stands one more nginx server, the edge: it says in X-Forwarded-For from where the visitor comes, since
every browser of a test comes from loopback, and passes on what the visitor wrote there himself, on the left, as proxies do."""
import os
import pathlib
import shutil
import signal

from servers import Server, can_connect, free_ports, wait_until
from shop import DEPLOY, Shop

VISITOR = "81.2.69.160"
_EDGE = """
    set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;
    server {
        listen 127.0.0.1:@EDGE@;
        set_real_ip_from 192.0.2.1;           # nobody: this server sees the peer itself
        location / {
            proxy_pass http://127.0.0.1:@SHOP@;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For "$http_x_forwarded_for, @VISITOR@";
        }
        location = /start.html { default_type text/html; return 200 "<script>location.href = '/shoes.html?pair=2'</script>"; }
        location = /walk.html {
            default_type text/html;
            return 200 "<script src='/ff/footfall.js'></script>
                        <script>addEventListener('load', () => history.pushState(null, '', '/walk.html/further'))</script>";
        }
    }
    server {                                  # a site that nginx counts, without any script
        listen 127.0.0.1:@SILENT@;
        root @SITE@;
        include footfall-mirror.conf;
    }
"""


class Web(Shop):
    def __init__(self, folder):
        shop_port, self.port, self.silent_port = free_ports(3)
        self.mirror = pathlib.Path(folder) / "mirror.sock"
        super().__init__(folder, shop_port)

    def serve(self, collector):
        edge = _EDGE
        for name, value in {"EDGE": self.port, "SHOP": self.shop_port, "SILENT": self.silent_port, "VISITOR": VISITOR,
                            "SITE": DEPLOY / "demo/site"}.items():
            edge = edge.replace(f"@{name}@", str(value))
        self.configure(collector.port, self.mirror, edge)
        return self.start(self.port)

    def url(self, path, host="shop.example"):
        return f"http://{host}:{self.port}{path}"


class Front(Server):
    """nginx that speaks HTTP/2 over TLS before a service on this host; its access log has a line with the protocol for each request."""

    name = "nginx"

    def serve(self, certificate, upstream):
        port, = free_ports(1)
        config = self.folder / "front.conf"
        config.write_text(f"""
daemon off; pid {self.folder}/pid; error_log stderr; events {{}}
http {{
    log_format protocol $server_protocol;
    access_log {self.folder}/access.log protocol;
    client_body_temp_path {self.folder}; proxy_temp_path {self.folder}; fastcgi_temp_path {self.folder};
    uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate}; ssl_certificate_key {certificate};
        location / {{ proxy_pass {upstream}; }}
    }}
}}""")
        self.spawn(["/usr/sbin/nginx", "-c", config])
        wait_until(lambda: can_connect(port), "nginx listens")
        return f"https://127.0.0.1:{port}/"

    def protocols(self):
        return (self.folder / "access.log").read_text().split()


class Chromium(Server):
    """Opens one page and lets it do what it does; every host name leads to loopback."""

    name = "chromium"

    def open(self, url):
        self.kill()
        binary = shutil.which("chromium") or "/usr/bin/chromium"
        self.spawn([binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    f"--user-data-dir={self.folder / 'profile'}", "--host-resolver-rules=MAP * 127.0.0.1",
                    "--remote-debugging-port=0", url])
        return self

    def kill(self):
        if self.is_running():
            os.killpg(self.pid, signal.SIGKILL)  # with its renderers
            self.process.wait()
