"""Reads the PDF that a user attaches. 读取用户附加的 PDF。

    pip install pypdf
    myagent-ws server examples/pdf_reader.py

Attach a PDF on the page of the server and ask "What is in report.pdf?". The model is told the names of files that it
cannot read itself; a tool has their bytes in `run.files`. What becomes of them is the author's choice: here it is their
text, and pypdf is needed only when there is one to read.

在页面上附加一个 PDF 并提问：模型自己读不了的文件，工具可以用 `run.files` 得到内容。这里用 pypdf 取出文字。
"""

import io
from typing import Annotated

from pydantic import Field

from myagent import RetryTool, RunContext, ToolFailed, create_react_agent, tool


@tool
def read_pdf(name: Annotated[str, Field(examples=["report.pdf"])], run: RunContext, first_page: int = 1) -> str:
    """Reads the text of an attached PDF, ten pages at a time.

    Args:
        name: the name of the file
        first_page: the number of the page to begin with
    """
    file = next((file for file in reversed(run.files) if file.name == name), None)
    if file is None:
        there = ", ".join(file.name for file in run.files) or "none"
        raise RetryTool(f"There is no file {name!r} in this conversation. Attached are: {there}")
    try:
        from pypdf import PdfReader  # here, because the other conversations need none of it
        from pypdf.errors import PyPdfError
    except ImportError:
        raise ToolFailed("The server lacks a package to read PDFs: pip install pypdf") from None
    try:
        pages = PdfReader(io.BytesIO(file.read())).pages
        shown = [
            pages[number].extract_text() for number in range(max(first_page, 1) - 1, min(first_page + 9, len(pages)))
        ]
    except PyPdfError as error:
        raise ToolFailed(f"{name} cannot be read as a PDF: {error}") from error
    return f"{name}, {len(pages)} pages, from page {first_page}:\n\n" + "\n\n".join(shown)


agent = create_react_agent(
    name="pdf-reader",
    description="Answers questions about PDFs",
    tools=[read_pdf],
    system_prompt="You answer questions about the PDFs that are attached. Read them before you answer.",
)
