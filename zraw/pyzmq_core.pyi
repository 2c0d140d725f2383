from zraw.socket import Socket

class Core(Socket):
    def come_out(self, closing: bool) -> None: ...
