#!/usr/bin/env python3
"""Cuts the power under a daemon, again and again, and looks what is left.

A disk in memory (NBD, shown as a file by nbdfuse, mounted as ext4 through a loop device) records every write and every
flush while a daemon works on it, and with them the moment of every answer. A cut is a point in that record: what was
flushed before it is there, of the writes after the last flush each is there, torn within its sectors, or lost, by
chance. On each such disk a daemon is started: it has to be ready by itself within two seconds, verify, and hold every
acknowledged delivery exactly once.

usage: power_cut.py PALYRA [--cuts N] [--seed S] [--edits] [--control all|log]
  --edits        cuts during edits of the registry and the vault instead of deliveries
  --control all  runs the daemon under eatmydata, which makes every flush a lie; succeeds only if the loss is seen
  --control log  leaves only the write-ahead log unsynced, as synchronous=NORMAL does
needs: root, /dev/fuse, loop devices; nbdfuse (libnbd-bin), fuse3, e2fsprogs; eatmydata and cc for the controls
"""
import argparse, hashlib, hmac, http.client, json, os, random, shutil, socket, struct, subprocess, sys, tempfile, threading, time

DISK_BYTES, SECTOR, READY_SECONDS_MAX = 64 << 20, 512, 2.0
WRITERS, DELIVERIES, EDITS = 16, 1_500, 60
SECRET = b"a secret for tests"


class Disk:
    """An NBD server over memory that keeps a record."""

    def __init__(self, path):
        self.bytes, self.record, self.lock = bytearray(DISK_BYTES), [], threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def note(self, *what):
        with self.lock:
            self.record.append(what)

    def serve(self, peer):
        try:
            if self.shake_hands(peer):
                while self.one_request(peer):
                    pass
        except (EOFError, OSError):
            pass

    def shake_hands(self, peer):
        peer.sendall(b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 3))
        read(peer, 4)
        while True:
            read(peer, 8)
            option, length = struct.unpack(">II", read(peer, 8))
            read(peer, length)
            reply = lambda kind, data=b"": peer.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)
            if option == 7:  # GO: flags are HAS_FLAGS, SEND_FLUSH, SEND_FUA
                reply(3, struct.pack(">HQH", 0, DISK_BYTES, 1 | 4 | 8))
                reply(1)
                return True
            if option == 2:  # ABORT
                reply(1)
                return False
            reply(0x80000001)

    def one_request(self, peer):
        _, flags, kind, cookie, at, length = struct.unpack(">IHHQQI", read(peer, 28))
        data = b""
        if kind == 0:
            data = bytes(self.bytes[at:at + length])
        elif kind == 1:
            written = read(peer, length)
            with self.lock:
                self.bytes[at:at + length] = written
                self.record.append(("through" if flags & 1 else "write", at, written))
        elif kind == 2:
            return False
        elif kind == 3:
            self.note("flush")
        peer.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie) + data)
        return True


def read(peer, length):
    data = b""
    while len(data) < length:
        more = peer.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def run(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more).stdout


class Daemon:
    def __init__(self, palyra, root, under=()):
        self.palyra, self.root, began = palyra, root, time.monotonic()
        command = [*under, palyra, "--state-root", root, "daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline()
        self.took = time.monotonic() - began
        threading.Thread(target=self.process.stderr.read, daemon=True).start() if self.ready else None
        if not self.ready:
            raise RuntimeError(f"no daemon: exit {self.process.wait()}: {self.process.stderr.read()}")
        self.address = self.ready.split("ingress=http://")[1].split()[0]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def deliver(self, number):
        body = json.dumps({"n": number, "text": "x" * 600}).encode()
        signature = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-GitHub-Event": "push", "X-Hub-Signature-256": signature}
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request("POST", "/hooks/gh", body, headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


class Rig:
    def __init__(self, options, place):
        self.options, self.place = options, place
        self.fs = os.path.join(place, "fs")
        self.root = os.path.join(self.fs, "root")
        os.mkdir(self.fs)

    def palyra(self, *args, **more):
        return run(self.options.palyra, "--state-root", self.root, *args, **more)

    def under(self):
        """What the recorded daemon runs under."""
        if self.options.control != "log":
            return ["eatmydata"] if self.options.control else []
        source = os.path.join(os.path.dirname(__file__), "unsynced_log.c")
        library = os.path.join(self.place, "unsynced_log.so")
        run("cc", "-shared", "-fPIC", "-O1", "-o", library, source)
        return ["env", f"LD_PRELOAD={library}"]

    def record(self, work):
        """Runs `work` on a fresh disk. Gives the disk as it was before, and the record."""
        disk_socket, shown = os.path.join(self.place, "nbd"), os.path.join(self.place, "disk")
        disk = Disk(disk_socket)
        open(shown, "w").close()
        fuse = subprocess.Popen(["nbdfuse", shown, "--unix", disk_socket])
        while os.path.getsize(shown) != DISK_BYTES:
            time.sleep(0.05)
        run("mkfs.ext4", "-q", "-F", shown)
        run("mount", "-o", "loop", shown, self.fs)
        self.palyra("vault", "put", "global/gh", input=SECRET)
        self.palyra("webhooks", "add", "gh", "github", "--secret-ref", "global/gh")
        run("sync", "-f", self.fs)
        with disk.lock:
            before = bytes(disk.bytes)
            disk.record.clear()
        daemon = Daemon(self.options.palyra, self.root, self.under())
        work(disk, daemon)
        daemon.kill()
        with disk.lock:
            record = list(disk.record)
        run("umount", self.fs)
        run("umount", shown)
        fuse.wait(timeout=10)
        return before, record

    def cut(self, before, record, end, dice):
        """The disk as a cut after `end` entries leaves it, mounted; gives what was answered by then."""
        flushed = max((at for at in range(end) if record[at][0] == "flush"), default=-1)
        disk, answered = bytearray(before), []
        for at, entry in enumerate(record[:end]):
            if entry[0] == "answer":
                answered.append(entry[1])
            elif entry[0] != "flush" and (at < flushed or entry[0] == "through" or dice.random() < 0.5):
                data = entry[2]
                if at > flushed and entry[0] == "write" and dice.random() < 0.2:
                    data = data[:SECTOR * dice.randrange(0, len(data) // SECTOR + 1)]
                disk[entry[1]:entry[1] + len(data)] = data
        image = os.path.join(self.place, "cut")
        with open(image, "wb") as file:
            file.write(disk)
        run("mount", "-o", "loop", image, self.fs)
        return answered

    def sweep(self, work, judge):
        dice = random.Random(self.options.seed)
        before, record = self.record(work)
        first = next(at for at, entry in enumerate(record) if entry[0] == "answer")
        found, slowest, answers = [], 0.0, sum(entry[0] == "answer" for entry in record)
        for number in range(self.options.cuts):
            end = dice.randrange(first, len(record) + 1)
            answered = self.cut(before, record, end, dice)
            try:
                daemon = Daemon(self.options.palyra, self.root)
                slowest = max(slowest, daemon.took)
                found += [f"cut {number} at {end}: {fault}" for fault in judge(daemon, answered)]
                daemon.kill()
            except (RuntimeError, subprocess.CalledProcessError) as broken:
                found.append(f"cut {number} at {end}: {broken}")
            run("umount", self.fs)
        if slowest > READY_SECONDS_MAX:
            found.append(f"ready only after {slowest:.2f} s")
        flushes = sum(entry[0] == "flush" for entry in record)
        print(f"cuts={self.options.cuts} seed={self.options.seed} record={len(record)} flushes={flushes} "
              f"answers={answers} slowest_ready={slowest:.2f}s faults={len(found)}")
        return found

    def deliveries(self, disk, daemon):
        numbers = iter(range(DELIVERIES))
        lock = threading.Lock()

        def writer():
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                if daemon.deliver(number) in (200, 202):
                    disk.note("answer", number)

        writers = [threading.Thread(target=writer) for _ in range(WRITERS)]
        for thread in writers:
            thread.start()
        while any(thread.is_alive() for thread in writers):
            self.palyra("journal", "checkpoint")
        for thread in writers:
            thread.join()

    def judge_deliveries(self, daemon, answered):
        again = answered[-1:] + [max(answered, default=0) + 1]
        statuses = [daemon.deliver(number) for number in again]
        held = {}
        for line in self.palyra("journal", "export").splitlines():
            event = json.loads(line)
            if event["kind"] == "webhook":
                number = event["envelope"]["payload"]["n"]
                held[number] = held.get(number, 0) + 1
        lost = [number for number in answered if number not in held]
        if lost:
            yield f"{len(lost)} acknowledged deliveries are lost"
        if statuses[0] != 200 and answered:
            yield f"a delivery that was answered is answered {statuses[0]} when it comes again"
        twice = [number for number, count in held.items() if count > 1]
        if twice:
            yield f"{len(twice)} deliveries are there twice"
        self.palyra("journal", "verify")

    def edits(self, disk, daemon):
        for number in range(EDITS):
            self.palyra("webhooks", "add", f"hook-{number}", "github", "--secret-ref", "global/gh")
            self.palyra("vault", "put", f"global/key-{number}", input=b"value-%d" % number)
            disk.note("answer", number)

    def judge_edits(self, daemon, answered):
        count = len(answered)
        hooks = {hook["integration_id"] for hook in json.loads(self.palyra("--json", "webhooks", "list"))["webhooks"]}
        keys = {key["vault_ref"] for key in json.loads(self.palyra("--json", "vault", "list"))["secrets"]}
        for what, found, name, old in (("registry", hooks, "hook-{}", "gh"), ("vault", keys, "global/key-{}", "global/gh")):
            wanted = {old} | {name.format(number) for number in range(count)}
            if found not in (wanted, wanted | {name.format(count)}):
                yield f"the {what} holds {len(found)}, {count} edits were answered"
        self.palyra("journal", "verify")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("palyra", type=os.path.abspath)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--edits", action="store_true")
    parser.add_argument("--control", choices=["all", "log"])
    options = parser.parse_args()
    place = tempfile.mkdtemp()
    try:
        rig = Rig(options, place)
        work, judge = (rig.edits, rig.judge_edits) if options.edits else (rig.deliveries, rig.judge_deliveries)
        found = rig.sweep(work, judge)
    finally:
        for mounted in ("fs", "disk"):
            subprocess.run(["umount", "-l", os.path.join(place, mounted)], stderr=subprocess.DEVNULL)
        shutil.rmtree(place, ignore_errors=True)
    if options.control:
        seen = len({fault.split(" at ")[0] for fault in found})
        print(f"control: loss was seen in {seen} of {options.cuts} cuts")
        sys.exit(0 if seen * 10 >= options.cuts * 3 else "the rig does not see what a lying disk loses")
    print(*found, sep="\n")
    sys.exit(1 if found else 0)


main()
