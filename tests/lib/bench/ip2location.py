# SPDX-License-Identifier: Apache-2.0
"""A stub of ip2location.io on loopback, over HTTP or HTTPS, that can answer as badly as a service can. It counts what it was
asked."""
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
KEY = "0123456789ABCDEF0123456789ABCDEF"


def place(ip, **changed):
    """What the service says of an address: a city that follows from it."""
    number = int(ipaddress.ip_address(ip)) % 1000
    return {"ip": ip, "country_code": "IN", "country_name": "India", "region_name": "Karnataka", "city_name": f"City {number}",
            "latitude": 12.97194, "longitude": 77.59369, "zip_code": "560001", "time_zone": "+05:30", "asn": "24309",
            "as": "Atria Convergence", "is_proxy": False, **changed}


def error(code):
    return {"error": {"error_code": code, "error_message": "No."}}


class Reply:
    """How a request is answered. raw: instead of all else, these bytes, and the connection is closed."""

    def __init__(self, status=200, body=None, headers=None, raw=None, drip_s=0, hang=False):
        self.status, self.body, self.headers = status, body, headers or {}
        self.raw, self.drip_s, self.hang = raw, drip_s, hang


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802, the name that http.server wants
        stub = self.server.stub
        ip, = stub.note(self, [urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)["ip"][0]])
        time.sleep(stub.delay_s)
        reply = stub.reply(ip)
        self._send(reply, place(ip) if reply.body is None else reply.body)

    def do_POST(self):  # noqa: N802
        """Of many addresses: an answer of each, if stub.answer is a callable, else the same to all, as a whole."""
        stub = self.server.stub
        ips = stub.note(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        time.sleep(stub.delay_s)
        if not callable(stub.answer):
            self._send(stub.answer, {ip: place(ip) for ip in ips} if stub.answer.body is None else stub.answer.body)
            return
        replies = {ip: stub.answer(ip) for ip in ips}
        self._send(Reply(), {ip: place(ip) if reply.body is None else reply.body for ip, reply in replies.items()})

    def _send(self, reply, body):
        if reply.hang:
            self.server.stub.ended.wait()
            self.close_connection = True
            return
        if reply.raw is not None:
            self._write(reply.raw, reply.drip_s)
            self.close_connection = True
            return
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self._write(body, reply.drip_s)

    def _write(self, data, drip_s):
        try:
            for at in range(0, len(data), 1 if drip_s else len(data) or 1):
                self.wfile.write(data[at:at + 1] if drip_s else data)
                if self.server.stub.ended.wait(drip_s):
                    return
        except OSError:
            self.close_connection = True  # who asked has gone


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # a client that does not like our certificate, or leaves


class Stub:
    """reply: what every request is answered with, may be changed at any time; a callable is given the address."""

    def __init__(self, certificate=None):
        self.asked = []      # (time, address)
        self.sizes = []      # addresses of each request
        self.keys = set()    # that were sent, in the URL or the header
        self.answer = Reply()
        self.delay_s = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stub = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def note(self, request, ips):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(request.path).query)
        with self._lock:
            self.asked += [(time.time(), ip) for ip in ips]
            self.sizes.append(len(ips))
            self.keys.add((query.get("key", [None])[0], request.headers.get("Authorization")))
        return ips

    def reply(self, ip):
        return self.answer(ip) if callable(self.answer) else self.answer

    def addresses(self):
        with self._lock:
            return [ip for _, ip in self.asked]

    def stop(self):
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Authority:
    """Makes certificates: authority.pem, and one for each name wanted. Each file holds key and certificate."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tests")])
        self.path = folder / "authority.pem"
        self.path.write_bytes(self._sign(self.name, self.key, [], -1, 30, is_authority=True))

    def _sign(self, subject, key, names, from_days, to_days, is_authority=False, issuer=None, by=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or self.name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now + from_days * DAY)
                   .not_valid_after(now + to_days * DAY)
                   .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(by or self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def certificate(self, name, address="127.0.0.1", days=30, is_self_signed=False, host=None):
        """The path of a certificate for the address, or the host's name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        named = x509.DNSName(host) if host else x509.IPAddress(ipaddress.ip_address(address))
        signed = self._sign(subject, key, [named], -60, days,
                            issuer=subject if is_self_signed else None, by=key if is_self_signed else None)
        path = self.folder / f"{name}.pem"
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()) + signed)
        return path
