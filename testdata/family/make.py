#!/usr/bin/env python3
"""Writes account.tar.gz, the Maildir of a family that does not exist. Same bytes every time.

Everybody lives in the reserved example domains. See origin.md for what is in it and why.
"""

import calendar
import gzip
import io
import struct
import tarfile
import time
import zlib
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

ALICE = "Alice Example <alice@example.org>"
BOB = "Bob Example <bob@example.org>"
CARLA = "Carla Sample <carla@example.net>"
ILSE = "Oma Ilse <ilse@example.com>"
JUERGEN = "Jürgen Müller <juergen@example.net>"
YUTING = "雨婷 <yuting@example.com>"
SCHOOL = "Klasse 4b <class4b@school.example>"
CHOIR = "Choir list <choir@lists.example.org>"

LF = SMTP.clone(linesep="\n", cte_type="8bit", max_line_length=76)


def at(text):
    """Seconds of '2021-03-04 10:20:30', UTC."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


# --- messages -----------------------------------------------------------------------------------


def mail(when, sender, to, subject, text, *, html=None, files=(), cte=None, headers=()):
    """One message with LF line ends; `files` are (name, type, bytes)."""
    seconds = at(when)
    message = EmailMessage(policy=LF)
    message["Return-Path"] = "<" + sender.split("<")[1]
    message["Received"] = f"by mail.example.org; {rfc_date(seconds)}"
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = rfc_date(seconds - 7)
    message["Message-ID"] = f"<{seconds}.{zlib.crc32(subject.encode()):08x}@example.org>"
    for name, value in headers:
        message[name] = value
    message.set_content(text, cte=cte)
    if html:
        message.add_alternative(html, subtype="html", cte="quoted-printable")
    for name, kind, content in files:
        main, sub = kind.split("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=-{seconds}-{number}")
    return message.as_bytes()


def rfc_date(seconds):
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(seconds))


def png(width, height, red, green):
    """A soft gradient."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    def pixel(x, y):
        return bytes(((red * x // width) & 255, (green * y // height) & 255, (x * y) & 255))

    rows = b"".join(b"\0" + b"".join(pixel(x, y) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def pdf(text):
    page = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, content) for n, content in enumerate(objects, 1))
    return b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" + body + b"trailer << /Root 1 0 R /Size 5 >>\n%%EOF\n"


PHOTO = png(96, 72, 255, 180)
LAKE = png(120, 90, 90, 255)
INVITE = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//family//EN
METHOD:REQUEST
BEGIN:VEVENT
UID:birthday-2024@example.org
DTSTAMP:20240501T080000Z
DTSTART:20240518T130000Z
DTEND:20240518T170000Z
SUMMARY:Oma Ilse wird 80
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n").encode()
NEWS = "\n".join(f"{n}. A recipe with {what}, for {n + 1} people." for n, what in enumerate(
    "beans leek rice plums barley mint pears oats lentils sage".split() * 6, 1)) + "\n"

EIGHT_BIT = (
    b"From: Jorg <jorg@example.net>\nTo: alice@example.org\n"
    b"Subject: Gr\xfc\xdfe vom Meer\nDate: Sat, 14 Aug 2021 18:00:00 +0200\n"
    b"Message-ID: <8bit@example.net>\nContent-Type: text/plain; charset=iso-8859-1\n"
    b"Content-Transfer-Encoding: 8bit\n\nSch\xf6ne Gr\xfc\xdfe, es ist hei\xdf hier.\n"
)
NULS = (
    b"From: scanner@example.org\nTo: alice@example.org\nSubject: Scan 0017\n"
    b"Date: Tue, 06 Sep 2022 07:30:00 +0000\nMessage-ID: <scan17@example.org>\n\n"
    b"page 1: ok\0\0\0\npage 2:\0 blank\nend\n"
)
NO_FINAL_LF = (
    b"From: gate@example.org\nTo: alice@example.org\nSubject: The gate is open\n"
    b"Date: Mon, 09 Oct 2023 21:15:00 +0000\nMessage-ID: <gate9@example.org>\n\nopen since 21:14"
)
LONE_CR = (
    b"From: ilse@example.com\nTo: alice@example.org\nSubject: Liste\nDate: Fri, 03 Mar 2023 09:00:00 +0000\n"
    b"Message-ID: <liste@example.com>\n\nMilch\rBrot\rButter\r\nund Kaffee\n"
)
DELIVERY_REPORT = (
    b"Return-Path: <>\nFrom: Mail Delivery System <postmaster@example.org>\nTo: alice@example.org\n"
    b"Subject: Undelivered mail\nDate: Thu, 11 Jan 2024 06:00:00 +0000\nMessage-ID: <report@example.org>\n"
    b"MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"r\"\n\n"
    b"--r\nContent-Type: text/plain\n\nNobody there by that name.\n"
    b"--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.example.org\n\n"
    b"Final-Recipient: rfc822; nobody@example.com\nAction: failed\nStatus: 5.1.1\n"
    b"--r\nContent-Type: message/rfc822\n\nFrom: alice@example.org\nTo: nobody@example.com\nSubject: Hello?\n\nAre you there?\n"
    b"--r--\n"
)


def crlf(message):
    return message.replace(b"\n", b"\r\n")


# --- the account --------------------------------------------------------------------------------
# A row: UID, received, flags and keywords, content, then what is special:
#   name   the base name (default: as Dovecot makes them, with S= and W=)
#   words  extension words of the row in dovecot-uidlist
#   file   the bytes in the file when they are not the content itself


def row(uid, when, flags, content, **special):
    return dict(uid=uid, when=when, flags=flags.split(), content=content, **special)


def simple(uid, when, flags, sender, to, subject, text, special=None, **more):
    return row(uid, when, flags, mail(when, sender, to, subject, text, **more), **(special or {}))


PICNIC = mail("2024-06-02 17:45:12", BOB, ALICE, "Photos from the picnic", "Two of them, the rest tonight.\nBob\n",
              files=[("picnic.png", "image/png", PHOTO), ("lake.png", "image/png", LAKE)])
PICNIC_NAME = "1717350312.M224466P812.mail"

INBOX = [
    # The first years were read with POP3 on another server: UIDL and order are kept.
    simple(3, "2021-01-09 08:12:00", "S Familie", ILSE, ALICE, "Danke für das Paket", "Liebe Alice,\n\nes ist alles heil angekommen. Die Plätzchen sind schon weg.\n\nDeine Oma\n",
           dict(name="1610179920.V801I2a_0.old", words="P1610179920.3 O1"), cte="quoted-printable"),
    simple(4, "2021-02-20 19:00:41", "RS", CARLA, ALICE, "Sourdough", "Feed it twice a day. Really.\n\nCarla\n",
           dict(name="1613847641.V801I2c_0.old", words="P1613847641.4 O2")),
    row(7, "2021-08-14 16:00:03", "S Urlaub", EIGHT_BIT, name="1628956803.V801I31_0.old", words="P1628956803.7 O3"),
    simple(8, "2021-11-30 06:58:10", "S", SCHOOL, ALICE, "Elternabend am Donnerstag", "Um 19:30 Uhr in Raum 12.\n",
           dict(name="1638255490.V801I3f_0.old", words="P1638255490.8 O4 G5f1d0c2e9a8b47665544332211ffee01")),
    simple(12, "2022-01-05 10:10:10", "FS $Label1", BOB, ALICE, "Keys", "The spare ones are with Ilse.\n"),
    simple(13, "2022-03-17 21:03:55", "S NonJunk", CHOIR, CHOIR, "[choir] New dates", "Mondays, 20:00.\n\n-- \nchoir mailing list\n",
           headers=[("List-Id", "Choir <choir.lists.example.org>"), ("Precedence", "list")]),
    row(21, "2022-09-06 07:30:02", "", NULS),
    simple(22, "2022-10-01 12:00:00", "S $Forwarded Rechnung", "Shop <orders@example.com>", ALICE, "Your order 4711", "Thank you. The invoice is attached.\n",
           files=[("invoice-4711.pdf", "application/pdf", pdf("Invoice 4711: 3 garden chairs"))]),
    simple(30, "2022-12-24 15:30:00", "FS Familie $Label2", YUTING, ALICE, "聖誕快樂 / Frohe Weihnachten", "聖誕快樂！\n\n雨婷\n", cte="base64"),
    row(31, "2023-03-03 09:00:01", "S", LONE_CR),
    simple(44, "2023-05-21 11:11:11", "S", JUERGEN, ALICE, "Re: Gartenstühle", "Passt, ich hole sie am Samstag.\n\n> Willst du die alten haben?\n", cte="8bit",
           headers=[("In-Reply-To", "<chairs@example.org>"), ("References", "<chairs@example.org>")]),
    simple(58, "2023-08-08 08:08:08", "S NonJunk", "Kitchen letter <newsletter@example.com>", ALICE, "Sixty recipes", NEWS,
           html="<html><body><h1>Sixty recipes</h1><p>" + NEWS.replace("\n", "<br>\n") + "</p></body></html>\n"),
    row(60, "2023-10-09 21:15:00", "S", NO_FINAL_LF),
    row(71, "2024-01-11 06:00:09", "S $MDNSent", DELIVERY_REPORT),
    simple(90, "2024-05-01 08:00:30", "RS Familie $Label1 Urlaub", BOB, ALICE, "Einladung: Oma Ilse wird 80", "Trag es dir ein!\n",
           files=[("invite.ics", "text/calendar", INVITE)]),
    row(104, "2024-06-02 17:45:12", "FS Familie $Label5", PICNIC, name=PICNIC_NAME),
    row(105, "2024-06-03 07:00:00", "S $Label3", crlf(mail("2024-06-03 07:00:00", CARLA, ALICE, "From the old laptop", "This one has CRLF at every line.\nAll of it.\n"))),
    simple(120, "2024-09-15 18:20:00", "S", SCHOOL, ALICE, "Photo day", "Bring a smile.\n", dict(words="G0f0e0d0c0b0a09080706050403020100")),
    simple(131, "2025-01-02 09:45:00", "S Junk", "Prize desk <win@example.com>", ALICE, "YOU WON", "Click here.\n", html="<p>Click <a href=\"http://example.com/\">here</a>.</p>\n"),
    simple(140, "2025-04-22 13:37:00", "DS", ALICE, BOB, "Half a thought", "What if we\n"),
    simple(155, "2025-07-30 05:05:05", "ST", CHOIR, CHOIR, "[choir] Lost umbrella", "Blue, with dots.\n"),
    simple(163, "2025-11-11 11:11:00", "", BOB, ALICE, "", "No subject, sorry.\n"),
    simple(170, "2026-02-14 07:00:00", "F $Label4", BOB, ALICE, "❤", "Look under the cup.\n", cte="base64"),
    simple(187, "2026-05-09 16:16:16", "", CARLA, ALICE, "Seedlings", "Tomatoes or beans?\n"),
]
SENT = [
    simple(1, "2021-01-10 18:00:00", "S Familie", ALICE, ILSE, "Re: Danke für das Paket", "Gern!\n\nAlice\n"),
    simple(2, "2021-02-21 08:00:00", "S", ALICE, CARLA, "Re: Sourdough", "It is alive. It has a name now.\n"),
    simple(9, "2022-01-05 10:15:00", "S", ALICE, BOB, "Re: Keys", "Found them.\n"),
    simple(10, "2022-10-01 12:30:00", "S $Forwarded", ALICE, BOB, "Fwd: Your order 4711", "For your records.\n",
           files=[("invoice-4711.pdf", "application/pdf", pdf("Invoice 4711: 3 garden chairs"))]),
    simple(14, "2023-05-20 20:00:00", "S", ALICE, JUERGEN, "Gartenstühle", "Willst du die alten haben?\n"),
    simple(25, "2024-05-01 09:00:00", "S Familie", ALICE, BOB, "Re: Einladung: Oma Ilse wird 80", "Eingetragen.\n"),
    simple(26, "2025-12-31 23:59:59", "S", ALICE, f"{BOB}, {CARLA}", "Happy new year", "In one second.\n"),
]
DRAFTS = [
    simple(5, "2025-03-01 10:00:00", "DS", ALICE, SCHOOL, "Entschuldigung", "Sehr geehrte Frau\n"),
    simple(6, "2026-06-01 22:10:00", "D", ALICE, YUTING, "Besuch in 台北", "Wir würden gern im Oktober kommen.\n", cte="8bit"),
]
TRASH = [
    simple(40, "2025-08-08 12:00:00", "ST", "Survey <survey@example.com>", ALICE, "One minute?", "It takes ten.\n"),
    simple(41, "2025-08-09 12:00:00", "T", "Survey <survey@example.com>", ALICE, "Still one minute?", "Please.\n"),
    simple(43, "2026-01-20 12:00:00", "S", CHOIR, CHOIR, "[choir] Test", "Test.\n"),
]
PACKED = mail("2023-02-11 10:00:00", JUERGEN, ALICE, "Wanderkarte", "Die Strecke als Liste.\n" + "".join(f"km {n}: Wegweiser {n % 7}\n" for n in range(200)))
TORN = mail("2023-04-04 04:04:04", CARLA, ALICE, "The long story", "".join(f"Chapter {n}: and then it rained {n * n} drops.\n" for n in range(300)))
CUT = mail("2023-06-06 06:06:06", ILSE, ALICE, "Die Fotos von früher", "Hier ist das erste.\n", files=[("1962.png", "image/png", PHOTO)])
ARCHIVE_2023 = [
    simple(100, "2023-01-15 09:00:00", "S", BOB, ALICE, "Insurance papers", "In the blue folder.\n"),
    row(101, "2023-02-11 10:00:00", "S", PACKED, file=gzip.compress(PACKED, mtime=0)),
    row(105, "2023-04-04 04:04:04", "FS", TORN, file=gzip.compress(TORN, mtime=0)[:-400]),
    row(106, "2023-06-06 06:06:06", "S Familie", CUT, file=CUT[:1500]),
    simple(110, "2023-07-07 07:07:07", "RS", CARLA, ALICE, "Borrowed ladder", "I bring it back on Sunday.\n"),
    simple(111, "2023-12-01 17:00:00", "S", SCHOOL, ALICE, "Basteln im Advent", "Bitte Kleber mitbringen.\n"),
]
ARCHIVE_2024 = [
    simple(1, "2024-02-02 10:00:00", "S", CARLA, ALICE, "Bread again", "Better now.\n"),
    row(2, "2024-06-02 17:45:12", "FS Familie", PICNIC, name=PICNIC_NAME),  # copied from INBOX: a hard link
    simple(3, "2024-08-19 14:00:00", "S Familie", ILSE, ALICE, "Rezept Pflaumenkuchen", "500 g Mehl, 1 kg Pflaumen, Geduld.\n",
           html="<p>500&nbsp;g Mehl, 1&nbsp;kg Pflaumen, <b>Geduld</b>.</p>\n"),
    simple(8, "2024-11-23 20:20:20", "", BOB, ALICE, "Heating", "Needs water. 1.2 bar.\n", dict(words="Gaa00bb11cc22dd33ee44ff5566778899")),
]
DESIGNS = [
    simple(1, "2025-02-03 16:00:00", "S", BOB, ALICE, "Plan für das Baumhaus", "Skizze anbei.\n", files=[("Baumhaus Größe.png", "image/png", LAKE)]),
    simple(2, "2025-02-04 07:30:00", "RS", CARLA, f"{ALICE}, {BOB}", "Re: Plan für das Baumhaus", "Ein Dach wäre gut.\n", cte="quoted-printable"),
    simple(6, "2026-03-29 01:30:00", "F Familie", BOB, ALICE, "Baumhaus, dritter Entwurf", "Mit Dach.\n", cte="quoted-printable"),
]
TAIPEI = [
    simple(11, "2024-10-10 02:00:00", "S", YUTING, ALICE, "夜市", "你們什麼時候來？\n", cte="8bit"),
    simple(12, "2026-06-20 03:00:00", "", YUTING, ALICE, "Re: Besuch in 台北", "十月很好。\n", cte="base64"),
]
KEYWORDS = "$Forwarded $Label1 $Label2 $Label3 $Label4 $Label5 NonJunk Junk $MDNSent Familie Rechnung Urlaub".split()

# Folder on disk: UIDVALIDITY, N of the uidlist, keywords, messages. N may run ahead: messages were deleted.
FOLDERS = {
    "": (1610000001, 312, KEYWORDS, INBOX),
    ".Sent": (1610000002, 27, ["Familie", "$Forwarded"], SENT),
    ".Drafts": (1610000003, 8, [], DRAFTS),
    ".Trash": (1610000004, 44, [], TRASH),
    ".Archive.2023": (1672531201, 112, ["Familie"], ARCHIVE_2023),
    ".Archive.2024": (1704067201, 9, ["$Label1", "Familie"], ARCHIVE_2024),
    ".Familie.Entw&APw-rfe": (1738000001, 7, ["Familie"], DESIGNS),
    ".&U,BTFw-": (1728500001, 20, [], TAIPEI),
    ".Urlaub": (1628000001, 50, [], []),
}
LAST_UIDVALIDITY = max(folder[0] for folder in FOLDERS.values())
SUBSCRIBED = ["INBOX", "Sent", "Drafts", "Trash", "Archive\t2023", "Archive\t2024", "Familie\tEntw&APw-rfe", "&U,BTFw-", "Schule"]
SIEVE = """require ["fileinto", "imap4flags"];

if header :contains "List-Id" "choir.lists.example.org" {
  addflag "NonJunk";
}
if address :is "from" "yuting@example.com" {
  fileinto "台北";
}
"""


# --- the archive --------------------------------------------------------------------------------


class Archive:
    """A tar file with fixed owner, sorted by the order of calls."""

    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.GNU_FORMAT)

    def add(self, name, when, content=b"", kind=tarfile.REGTYPE, mode=0o600, link=""):
        info = tarfile.TarInfo("Maildir" + ("/" + name if name else ""))
        info.type, info.mode, info.mtime, info.linkname = kind, mode, when, link
        info.uid = info.gid = 1000
        info.size = len(content) if kind == tarfile.REGTYPE else 0
        self.tar.addfile(info, io.BytesIO(content))

    def folder(self, name):
        self.add(name, at("2026-06-20 03:00:00"), kind=tarfile.DIRTYPE, mode=0o700)

    def text(self, name, text, mode=0o600):
        self.add(name, at("2026-06-20 03:00:00"), text.encode(), mode=mode)

    def write(self, path):
        self.tar.close()
        path.write_bytes(gzip.compress(self.bytes.getvalue(), mtime=0))


def base_name(message):
    if "name" in message:
        return message["name"]
    content, seconds = message["content"], at(message["when"])
    lone = content.count(b"\n") - content.count(b"\r\n")
    unique = zlib.crc32(content) % 1000000
    return f"{seconds}.M{unique}P{400 + message['uid']}.mail,S={len(content)},W={len(content) + lone}"


def letters(message, keywords):
    capitals = sorted(word for word in message["flags"] if word.isupper() and len(word) <= 3)
    small = sorted(chr(ord("a") + keywords.index(word)) for word in message["flags"] if word not in capitals)
    return "".join(capitals + small)


def add_folder(archive, folder, uidvalidity, uidnext, keywords, messages, linked):
    inside = folder + "/" if folder else ""
    archive.folder(folder)
    for part in ("cur", "new", "tmp"):
        archive.folder(inside + part)
    guid = f"{zlib.crc32(folder.encode()):08x}{uidvalidity:08x}0102030405060708"
    uidlist = f"3 V{uidvalidity} N{uidnext} G{guid}\n"
    for message in messages:
        base = base_name(message)
        words = message["words"] + " " if message.get("words") else ""
        uidlist += f"{message['uid']} {words}:{base}\n"
        path, when = f"{inside}cur/{base}:2,{letters(message, keywords)}", at(message["when"])
        if base in linked:
            archive.add(path, when, kind=tarfile.LNKTYPE, link="Maildir/" + linked[base])
        else:
            archive.add(path, when, message.get("file", message["content"]))
        linked[base] = path
    archive.text(inside + "dovecot-uidlist", uidlist)
    if keywords:
        archive.text(inside + "dovecot-keywords", "".join(f"{n} {word}\n" for n, word in enumerate(keywords)))
    if folder:
        archive.text(inside + "maildirfolder", "")


def make(path):
    archive, linked = Archive(), {}
    for folder, content in FOLDERS.items():
        add_folder(archive, folder, *content, linked)

    arrived = "2026-06-21 06:30:00"
    fresh = mail(arrived, ILSE, ALICE, "Kommt ihr Sonntag?", "Es gibt Kuchen.\n")
    archive.add(f"new/{at(arrived)}.M5P9001.mail", at(arrived), fresh)
    archive.add("tmp/1700000000.M1P77.mail", 1700000000, fresh[:150])  # a delivery that broke off long ago

    archive.text("subscriptions", "V\t2\n\n" + "".join(name + "\n" for name in SUBSCRIBED))
    archive.text("dovecot-uidvalidity", f"{LAST_UIDVALIDITY:08x}")
    archive.text(f"dovecot-uidvalidity.{LAST_UIDVALIDITY:08x}", "", mode=0o444)
    sizes = [len(message["content"]) for folder in FOLDERS.values() for message in folder[3]]
    archive.text("maildirsize", f"1073741824S,10000C\n{sum(sizes)} {len(sizes)}\n{len(fresh)} 1\n")
    archive.text(".Familie.Entw&APw-rfe/dovecot-acl", "owner lrwstipekxa\nuser=bob@example.org lrwstipe\n")
    archive.folder("sieve")
    archive.text("sieve/main.sieve", SIEVE)
    archive.text("sieve/holiday.sieve", 'require "vacation";\nvacation "Wir sind am Meer.";\n')
    archive.add(".dovecot.sieve", at("2026-06-20 03:00:00"), kind=tarfile.SYMTYPE, mode=0o777, link="sieve/main.sieve")
    archive.write(path)


if __name__ == "__main__":
    make(Path(__file__).with_name("account.tar.gz"))
