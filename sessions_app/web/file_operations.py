"""The operations on files: given to a session, taken back, handed out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, Field, WithJsonSchema

from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.http_answers import FilesAnswer
from sessions_app.web.api_operation import BYTES, NOT_FOUND, TEXT, Operation, OperationParameter
from sessions_app.web.downloads import download
from sessions_app.web.session_operations import SESSION
from sessions_app.web.uploads import take_back, upload

_BYTES = Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]


class UploadForm(BaseModel):
    """The form that an upload is."""

    file: list[_BYTES] = Field(min_length=1, description="all of them are stored, or none")


FILE_OPERATIONS = (
    Operation(
        method="POST",
        path=f"{SESSION}/files",
        text="Upload files for a session",
        own_view=upload,
        asks=UploadForm,
        asks_as="multipart/form-data",
        answer=FilesAnswer,
        status=HTTPStatus.CREATED,
        codes=(
            *NOT_FOUND,
            *(ErrorCode.AGENT_UNAVAILABLE, ErrorCode.TOO_LARGE, ErrorCode.UNSUPPORTED_TYPE),
            *(ErrorCode.TOO_MANY_FILES, ErrorCode.OVER_QUOTA),
        ),
    ),
    Operation(
        method="DELETE",
        path=f"{SESSION}/files/{{file_id}}",
        text="Take a file back that no message names",
        own_view=take_back,
        status=HTTPStatus.NO_CONTENT,
        codes=(*NOT_FOUND, ErrorCode.FILE_NOT_FOUND, ErrorCode.FILE_IN_USE),
    ),
    Operation(
        method="GET",
        path="files/{file_id}",
        text="The bytes of a file, for whoever may use a session that has it",
        own_view=download,
        parameters=(
            OperationParameter(
                name="If-None-Match",
                place="header",
                text="the ETag of what the client has; 304: it is that",
                schema=TEXT,
            ),
        ),
        answers_as=(BYTES, "*/*"),
        also=(HTTPStatus.NOT_MODIFIED,),
        codes=(ErrorCode.FILE_NOT_FOUND,),
    ),
)
