"""A small SMTP server (RFC 5321) that takes mails, or refuses as a test orders; with STARTTLS and LOGIN where asked."""

import base64
import socketserver
import ssl
from pathlib import Path
from threading import Thread


class MailServer:
    """`mails`: (recipients, text). `refuse`: addresses that it does not know. `certificate`: it offers STARTTLS."""

    def __init__(  # noqa: C901  one visit, word by word
        self, certificate: Path | None = None, login: tuple[str, str] | None = None
    ) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.refuse: set[str] = set()
        self.busy = 0  # so many visits are told to come later
        self.logins: list[bool] = []  # whether each came over TLS
        server = self

        class Visit(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._secure = False
                if server.busy:
                    server.busy -= 1
                    self._say("421 too busy")
                    return
                self._say("220 test ESMTP")
                to: list[str] = []
                allowed = login is None
                while line := self.rfile.readline():
                    word, _, rest = line.decode().strip().partition(" ")
                    match word.upper():
                        case "EHLO" | "HELO":
                            self._hello()
                        case "STARTTLS" if certificate:
                            self._say("220 go ahead")
                            self._secured(certificate)
                        case "AUTH":
                            allowed = self._login(rest)
                            self._say("235 welcome" if allowed else "535 wrong user or password")
                        case "MAIL":
                            self._say("250 ok" if allowed else "530 who are you?")
                        case "RCPT":
                            address = rest.partition("<")[2].partition(">")[0]
                            known = address not in server.refuse
                            to += [address] * known
                            self._say("250 ok" if known else "550 no such user")
                        case "DATA":
                            self._take(to)
                        case "QUIT":
                            self._say("221 bye")
                            return
                        case _:
                            self._say("250 ok")

            def finish(self) -> None:
                super().finish()
                self.connection.close()  # after STARTTLS another than the one that is closed for us

            def _hello(self) -> None:
                more = ["STARTTLS"] if certificate and not self._secure else []
                more += ["AUTH PLAIN"] if login else []
                lines = ["test", *more, "8BITMIME"]
                for line in lines[:-1]:
                    self._say(f"250-{line}")
                self._say(f"250 {lines[-1]}")

            def _secured(self, certificate: Path) -> None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                self._secure = True

            def _login(self, given: str) -> bool:
                server.logins.append(self._secure)
                _, user, password = base64.b64decode(given.partition(" ")[2]).decode().split("\0")
                return (user, password) == login

            def _take(self, to: list[str]) -> None:
                self._say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.decode())
                server.mails.append((to, "".join(lines)))
                self._say("250 taken")

            def _say(self, line: str) -> None:
                self.wfile.write(line.encode() + b"\r\n")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A visitor who does not trust our certificate."""

        self._server = Server(("127.0.0.1", 0), Visit)
        self.port: int = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
