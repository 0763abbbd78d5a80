"""Small files of the kinds that offices have, each made by hand or by the library of its kind."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any


def html_page(paragraphs: Sequence[str]) -> str:
    """A page with menu, banner, footer and script around its text."""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return (
        "<!doctype html><html><head><title>The page</title><style>p {}</style></head><body>"
        "<nav><a href='/'>Home</a><a href='/about'>About us</a></nav><header>Banner</header>"
        f"<article><h1>On rivers</h1>{body}</article>"
        "<footer>Imprint and cookies</footer><script>var tracked = 1;</script></body></html>"
    )


def pdf(pages: Sequence[str | None]) -> bytes:
    """A PDF with a line of text on each page; None: a page with a picture and no text."""
    image = b"<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray"
    image += b"/BitsPerComponent 8/Length 1>>stream\n0\nendstream"
    kids = " ".join(f"{5 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        image,
    ]
    for number, text in enumerate(pages):
        resources = b"/Font<</F 3 0 R>>" if text is not None else b"/XObject<</I 4 0 R>>"
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<<%s>>/Contents %d 0 R>>"
            % (resources, 6 + 2 * number)
        )
        shown = b"q 600 0 0 800 0 0 cm /I Do Q"
        if text is not None:
            shown = b"BT /F 12 Tf 50 700 Td (" + text.encode("cp1252") + b") Tj ET"
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(shown), shown))
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj%s endobj\n" % (number, content))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(places) + 1, table))
    return out.getvalue()


def encrypted_pdf() -> bytes:
    """A PDF that asks for a password."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(pdf(["secret"]))))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def docx(paragraphs: Sequence[str], *, table: Sequence[str] = (), tracked: bool = False) -> bytes:
    """A Word file; `tracked` adds a deleted and an inserted word to the last paragraph."""
    from docx import Document
    from docx.oxml import parse_xml

    document = Document()
    for text in paragraphs:
        paragraph = document.add_paragraph(text)
    if tracked:
        space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
        for change in (
            f'<w:del {space} w:id="1" w:author="a"><w:r><w:delText>gone</w:delText></w:r></w:del>',
            f'<w:ins {space} w:id="2" w:author="a"><w:r><w:t> new</w:t></w:r></w:ins>',
        ):
            paragraph._p.append(parse_xml(change))
    if table:
        row = document.add_table(1, len(table)).rows[0]
        for cell, text in zip(row.cells, table, strict=True):
            cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def odt(paragraphs: Sequence[str]) -> bytes:
    """A file of LibreOffice Writer."""
    from odfdo import Document, Paragraph

    document = Document("text")
    document.body.clear()
    for text in paragraphs:
        document.body.append(Paragraph(text))
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def epub(chapters: Sequence[str]) -> bytes:
    """A book; its files lie in another order than they are read in."""
    names = [f"part {number}.xhtml" for number in range(len(chapters))]
    items = "".join(
        f'<item id="c{i}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for i, name in reversed(list(enumerate(names)))
    )
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(chapters)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr(
            "META-INF/container.xml",
            '<?xml version="1.0"?><container version="1.0"'
            ' xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/content.opf"'
            ' media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        book.writestr(
            "OEBPS/content.opf",
            '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Book</dc:title>'
            f'</metadata><manifest><item id="n" href="nav.xhtml" properties="nav"/>{items}'
            f'</manifest><spine><itemref idref="n"/>{spine}</spine></package>',
        )
        book.writestr("OEBPS/nav.xhtml", "<html><body><p>Contents</p></body></html>")
        for name, text in zip(names, chapters, strict=True):
            book.writestr(
                f"OEBPS/{name}",
                '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml">'
                f"<head><title>x</title></head><body><p>{text}</p></body></html>",
            )
    return out.getvalue()


def xlsx(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook: rows by name of the sheet."""
    from openpyxl import Workbook

    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def mail(body: str, *, kind: str = "plain", encoding: str = "utf-8") -> bytes:
    """A message with headers; its body is 8-bit in the encoding that it names."""
    head = (
        f"From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: A word\n"
        "Date: Tue, 03 Sep 2024 10:00:00 +0200\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\n"
        f"Content-Type: text/{kind}; charset={encoding}\nContent-Transfer-Encoding: 8bit\n\n"
    )
    return head.encode() + body.encode(encoding)


def multipart_mail(plain: str, page: str) -> bytes:
    """A message that has its text twice, and an attachment."""
    from email.message import EmailMessage

    message = EmailMessage()
    message["Subject"] = "Two parts"
    message["From"] = "ann@example.org"
    message["Date"] = "Tue, 03 Sep 2024 10:00:00 +0200"
    message.set_content(plain)
    message.add_alternative(page, subtype="html")
    message.add_attachment("attached, not written", filename="notes.txt")
    return message.as_bytes()


def mbox(messages: Sequence[bytes]) -> bytes:
    """A mailbox; lines that begin with `From ` are quoted in it."""
    return b"".join(
        b"From ann@example.org Tue Sep  3 10:00:00 2024\n%s\n\n"
        % message.replace(b"\nFrom ", b"\n>From ")
        for message in messages
    )


def json_lines(*rows: object) -> str:
    """JSON objects, one a line, with every character as it is."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
