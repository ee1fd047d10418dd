# SPDX-License-Identifier: Apache-2.0
"""For tests of the HTTP server: a scratch directory, a real `tide run`, requests, and claims."""
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

SOURCE, TIDE = sys.argv[1], sys.argv[2]
POSTGRES = len(sys.argv) > 3 and sys.argv[3] == "postgres"
TOKEN, READ_TOKEN = "token-of-these-tests-0123", "reading-alone-of-these-tests"

COUNTS = """-- init:
CREATE TABLE IF NOT EXISTS %(name)s (id TEXT PRIMARY KEY, events INTEGER NOT NULL);
-- on: *
INSERT INTO %(name)s VALUES (:aggregate_id, 1) ON CONFLICT (id) DO UPDATE SET events = %(name)s.events + 1;
-- reset:
DELETE FROM %(name)s;
"""

resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

failed = []


def claim(function):
    """Run a test and print what came of it."""
    name = function.__name__
    try:
        function()
        print("ok", name, flush=True)
    except Exception:
        failed.append(name)
        print("not ok", name)
        print("    " + traceback.format_exc().replace("\n", "\n    "), flush=True)
    return function


def same(got, wanted):
    assert got == wanted, "%r is not %r" % (got, wanted)


def eventually(condition, seconds=30, told=lambda: ""):
    """Look until a condition holds; when it does not, say what is told."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "it never came true " + told()
        time.sleep(0.02)


class Scratch:
    """A directory that goes with the test."""

    def __enter__(self):
        self.path = tempfile.mkdtemp()
        os.chdir(self.path)
        return self

    def __exit__(self, *_):
        os.chdir("/")
        if failed and os.environ.get("TEST_KEEP"):
            print("kept:", self.path)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


def write(name, text, mode=0o644):
    with open(name, "w") as file:
        file.write(text)
    os.chmod(name, mode)


def tide(*arguments, stdin=None, check=True):
    done = subprocess.run([TIDE, *arguments], input=stdin, capture_output=True, text=True)
    assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr)
    return done


def store_url(name):
    """A new store: a schema of the server, or a file."""
    if POSTGRES:
        subprocess.run(["psql", "-qc", "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s" % (name, name)],
                       check=True, capture_output=True)
        url = "postgresql:///?schema=" + name
    else:
        url = "sqlite:%s.db" % name
    tide("--store", url, "init")
    return url


def events(url, first, last, extra=""):
    """Append events by an import."""
    lines = "".join(
        json.dumps({"event_id": "name:event %d" % i, "event_type": "OrderPaid" if i % 3 == 0 else "OrderPlaced",
                    "aggregate_type": "Order", "aggregate_id": "name:order %d" % (i % 5),
                    "payload": {"number": i, "text": extra}}) + "\n" for i in range(first, last + 1))
    tide("--store", url, "import", stdin=lines)


class Daemon:
    """A `tide run` with its configuration, until it is ended."""

    authority = None # whose certificates it has, a file

    def __init__(self, configuration, name="tide", ready=True):
        self.name = name
        write(name + ".conf", configuration)
        self.log = open(name + ".log", "a+")
        self.process = subprocess.Popen([TIDE, "run", name + ".conf"], stderr=self.log, stdout=self.log,
                                        stdin=subprocess.DEVNULL)
        self.url()
        if ready:
            eventually(lambda: self.get("/ready").status == 200, told=self.text)

    def text(self):
        with open(self.name + ".log") as file:
            return file.read()

    def url(self):
        def find():
            assert self.process.poll() is None, self.text()
            return re.findall(r"listening url='(https?)://([^']*):(\d+)'", self.text())
        self.scheme, self.host, port = eventually(find)[-1]
        self.port = int(port)

    def connection(self, timeout=30):
        if self.scheme == "https":
            context = ssl.create_default_context(cafile=self.authority)
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        connection = self.connection()
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.text = answer.read()
        connection.close()
        return answer

    def get(self, path, **headers):
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def json(self, path, **headers):
        answer = self.get(path, **headers)
        same(answer.status, 200)
        return json.loads(answer.text)

    def post(self, path, body=None, token=TOKEN, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        headers.setdefault("Content-Type", "application/json")
        if token:
            headers.setdefault("Authorization", "Bearer " + token)
        return self.request("POST", path, body, headers)

    def socket(self):
        return socket.create_connection((self.host, self.port), timeout=30)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, status=0):
        self.signal(signal.SIGTERM)
        got = self.process.wait(60)
        self.log.close()
        assert got == status, (got, self.text())

    def kill(self):
        self.process.kill()
        self.process.wait(60)
        self.log.close()


def configuration(stores, http="127.0.0.1:0", tokens=True, more=""):
    """stores: {name: (url, [projections])}"""
    text = "[daemon]\nhttp = %s\nlog_level = notice\n" % http
    if tokens:
        write("token", TOKEN + "\n", 0o600)
        write("read_token", READ_TOKEN + "\n", 0o600)
        text += "token_file = token\nread_token_file = read_token\n"
    text += more
    for name, (url, projections) in stores.items():
        text += "[store %s]\nurl = %s\n" % (name, url)
        for projection in projections:
            write(projection + ".sql", COUNTS % {"name": projection})
            text += "[projection %s]\nstore = %s\nfile = %s.sql\n" % (projection, name, projection)
    return text


def finish():
    sys.exit(1 if failed else 0)
