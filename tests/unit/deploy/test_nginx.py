# SPDX-License-Identifier: Apache-2.0
"""The nginx snippets of deploy/nginx: nginx takes them, and what it then sends to the collector is what they say.

Run as: python3 test_nginx.py NGINX FOLDER-OF-SNIPPETS. nginx runs in a folder of its own, on loopback."""
import http.client
import http.server
import pathlib
import queue
import re
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import unittest

NGINX, SNIPPETS = sys.argv[1], pathlib.Path(sys.argv[2])
PATIENCE_S = 30

CONFIGURATION = """
daemon off; pid nginx.pid; error_log error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include footfall-upstreams.conf;
    server {{
        listen 127.0.0.1:{port};
        root pages;
        include footfall-mirror.conf;
        include footfall-proxy.conf;
        location /assets/ {{ mirror off; }}
        location /query/ {{ rewrite ^ /index.html break; add_header X-Query "$args"; }}
        error_page 404 /404.html;
    }}
}}
"""


class Recorder(http.server.BaseHTTPRequestHandler):
    """A collector that answers 204 and keeps what it was asked."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.put((self.command, self.path, dict(self.headers.items()), body, id(self.connection)))
        self.send_response(204)
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True


class Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("unix", 0)


def start_recorder(kind, address):
    server = kind(address, Recorder)
    server.seen = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SnippetsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="footfall-nginx-")
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.folder.chmod(0o755)  # nginx's workers may run as another user
        for name, text in {"index.html": "home", "404.html": "no", "assets/a.css": "a"}.items():
            page = cls.folder / "pages" / name
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text)
        cls.beacons = start_recorder(Tcp, ("127.0.0.1", 0))
        cls.mirror = start_recorder(Unix, str(cls.folder / "mirror.sock"))
        (cls.folder / "mirror.sock").chmod(0o777)
        cls.port = free_port()
        cls.write_configuration()
        cls.check()
        cls.nginx = subprocess.Popen([NGINX, "-p", cls.folder, "-c", "nginx.conf", "-e", "start.log"])
        cls.wait_until_it_listens()

    @classmethod
    def tearDownClass(cls):
        cls.nginx.terminate()
        cls.nginx.wait(PATIENCE_S)
        cls.beacons.shutdown()
        cls.mirror.shutdown()
        cls.temporary.cleanup()

    @classmethod
    def write_configuration(cls):
        """The snippets as they are shipped, but for the places that only a real host has."""
        places = {"127.0.0.1:7110": f"127.0.0.1:{cls.beacons.server_address[1]}",
                  "/run/footfall": str(cls.folder), "/var/log/nginx": str(cls.folder),
                  "250ms": f"{PATIENCE_S}s", "100ms": f"{PATIENCE_S}s"}
        for snippet in SNIPPETS.glob("*.conf"):
            text = snippet.read_text()
            for shipped, here in places.items():
                text = text.replace(shipped, here)
            (cls.folder / snippet.name).write_text(text)
        (cls.folder / "nginx.conf").write_text(CONFIGURATION.format(port=cls.port))

    @classmethod
    def check(cls):
        done = subprocess.run([NGINX, "-t", "-p", cls.folder, "-c", "nginx.conf", "-e", "start.log"],
                              capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode != 0 or "[warn]" in done.stderr:
            raise AssertionError(f"nginx -t: {done.stderr}")

    @classmethod
    def wait_until_it_listens(cls):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", cls.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or cls.nginx.poll() is not None:
                    raise
                time.sleep(0.02)

    def ask(self, *request, **headers):
        """One request after another on one connection; gives the last status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request(*request, headers={key.replace("_", "-"): value for key, value in headers.items()})
        status = connection.getresponse().status
        connection.close()
        return status

    def mirrored(self):
        return self.mirror.seen.get(timeout=PATIENCE_S)

    def assert_nothing_mirrored_before(self, path):
        """A page whose mirrored request is the next to come shows that none came before it."""
        self.assertEqual(self.ask("GET", path), 200)
        self.assertEqual(self.mirrored()[2]["X-Original-URI"], path)

    def test_a_page_is_mirrored_with_what_the_collector_needs_and_no_more(self):
        self.ask("GET", "/index.html?a=b%20c", None, Host="www.example.com", Referer="https://search.example/",
                 User_Agent="Browser/1", Accept_Language="de", Sec_GPC="1", Cookie="session=secret",
                 Authorization="Basic c2VjcmV0", X_Forwarded_For="9.9.9.9", X_Real_IP="9.9.9.9",
                 X_Request_ID="forged", Sec_Purpose="prefetch")
        method, path, headers, body, _ = self.mirrored()
        self.assertEqual((method, path, body), ("GET", "/v1/mirror", b""))
        self.assertRegex(headers.pop("X-Request-ID"), re.compile(r"^[0-9a-f]{32}$"))
        self.assertEqual(headers, {
            "Host": "www.example.com", "X-Original-URI": "/index.html?a=b%20c", "X-Original-Method": "GET",
            "X-Real-IP": "127.0.0.1", "X-Forwarded-Proto": "http", "User-Agent": "Browser/1",
            "Referer": "https://search.example/", "Accept-Language": "de", "Sec-GPC": "1", "Sec-Purpose": "prefetch"})

    def test_a_post_is_mirrored_without_its_body(self):
        self.ask("POST", "/index.html", b"password=secret")
        method, _, headers, body, _ = self.mirrored()
        self.assertEqual((method, body, headers["X-Original-Method"]), ("GET", b"", "POST"))

    def test_the_page_keeps_its_query(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("GET", "/query/?a=b")
        self.assertEqual(connection.getresponse().headers["X-Query"], "a=b")
        connection.close()
        _, path, headers, _, _ = self.mirrored()
        self.assertEqual((path, headers["X-Original-URI"]), ("/v1/mirror", "/query/?a=b"))

    def test_an_internal_redirect_keeps_the_request_id(self):
        self.ask("GET", "/missing")
        first, second = self.mirrored()[2], self.mirrored()[2]
        self.assertEqual(first["X-Request-ID"], second["X-Request-ID"])
        self.assertEqual(first["X-Original-URI"], second["X-Original-URI"])

    def test_assets_and_hits_are_not_mirrored(self):
        self.ask("GET", "/assets/a.css")
        self.ask("POST", "/ff/v1/hits", b"{}")
        self.assert_nothing_mirrored_before("/index.html?last")
        self.beacons.seen.get(timeout=PATIENCE_S)

    def test_the_mirror_is_not_for_visitors(self):
        self.assertEqual(self.ask("GET", "/_footfall"), 404)
        self.assertEqual(self.mirrored()[2]["X-Original-URI"], "/_footfall")  # the page of error

    def test_a_hit_reaches_the_collector(self):
        body = b'{"url":"https://www.example.com/"}'
        status = self.ask("POST", "/ff/v1/hits?x=1", body, Host="www.example.com", Origin="https://www.example.com",
                          Content_Type="text/plain;charset=UTF-8", User_Agent="Browser/1",
                          Cookie="session=secret", Authorization="Basic c2VjcmV0", X_Forwarded_For="9.9.9.9")
        self.assertEqual(status, 204)
        method, path, headers, received, _ = self.beacons.seen.get(timeout=PATIENCE_S)
        self.assertEqual((method, path, received), ("POST", "/v1/hits?x=1", body))
        self.assertEqual(headers["X-Forwarded-For"], "9.9.9.9, 127.0.0.1")
        self.assertEqual(headers["Host"], "www.example.com")
        self.assertEqual(headers["Origin"], "https://www.example.com")
        self.assertEqual(headers["Content-Type"], "text/plain;charset=UTF-8")
        self.assertEqual(headers["User-Agent"], "Browser/1")
        for name in ("Cookie", "Authorization", "Connection", "Transfer-Encoding"):
            self.assertNotIn(name, headers)

    def test_connections_are_kept(self):
        connections = set()
        for _ in range(3):
            self.ask("GET", "/ff/v1/hit.gif")
            connections.add(self.beacons.seen.get(timeout=PATIENCE_S)[4])
        self.assertEqual(len(connections), 1)

    def test_a_chunked_hit_arrives_with_its_length(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("POST", "/ff/v1/hits", iter([b"{", b"}"]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        self.assertEqual(connection.getresponse().status, 204)
        connection.close()
        _, _, headers, body, _ = self.beacons.seen.get(timeout=PATIENCE_S)
        self.assertEqual((headers["Content-Length"], body), ("2", b"{}"))

    def test_a_body_beyond_what_browsers_send_is_refused(self):
        self.assertEqual(self.ask("POST", "/ff/v1/hits", b"x" * 65537), 413)
        self.assertEqual(self.ask("POST", "/ff/v1/hits", b"x" * 65536), 204)
        self.beacons.seen.get(timeout=PATIENCE_S)


class NginxTest(unittest.TestCase):
    def test_a_broken_file_would_be_seen(self):
        with tempfile.TemporaryDirectory() as folder:
            broken = pathlib.Path(folder, "nginx.conf")
            broken.write_text(CONFIGURATION.format(port=1))  # without the snippets
            done = subprocess.run([NGINX, "-t", "-p", folder, "-c", broken, "-e", "log"], capture_output=True,
                                  timeout=PATIENCE_S)
            self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
