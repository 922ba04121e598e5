# SPDX-License-Identifier: Apache-2.0
"""The demo shop: nginx with the snippets of deploy/nginx and the pages of deploy/demo/site, for the quick start and the tests."""
import pathlib

from servers import Nginx

DEPLOY = pathlib.Path(__file__).resolve().parents[1]


class Shop(Nginx):
    """collector: the port of http.listen, without a prefix; mirror: the path of the socket mirror.listen."""

    def __init__(self, folder, shop_port, detached=False):
        super().__init__(folder, "", detached)
        self.shop_port = shop_port

    def configure(self, collector, mirror, more=""):
        """more: lines for inside http { }."""
        self._copy("footfall-upstreams.conf", {"127.0.0.1:7110": f"127.0.0.1:{collector}", "/run/footfall/mirror.sock": mirror})
        self._copy("footfall-proxy.conf", {})
        self._copy("footfall-mirror.conf", {"/var/log/nginx/footfall.log": self.folder / "mirror.log"})
        text = (DEPLOY / "demo/nginx.conf").read_text()
        for name, value in {"PORT": self.shop_port, "SITE": DEPLOY / "demo/site", "MORE": more}.items():
            text = text.replace(f"@{name}@", str(value))
        self.configuration.write_text(text)

    def _copy(self, name, replacements):
        """A snippet as it is shipped, with what is otherwise here."""
        text = (DEPLOY / "nginx" / name).read_text()
        for shipped, ours in replacements.items():
            assert shipped in text, f"deploy/nginx/{name} does not say {shipped}"
            text = text.replace(shipped, str(ours))
        (self.folder / name).write_text(text)
