"""Pictures in the results of tools."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image as Pillow
from pydantic import BaseModel

from myagent import Image, ToolResult
from myagent.tool.image import MAX_PICTURE_BYTES
from myagent.tool.result import to_result

pytestmark = pytest.mark.usefixtures("in_english")


def saved(picture: Pillow.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, format=kind)
    return file.getvalue()


DOT = Pillow.new("RGB", (3, 2))
PNG = saved(DOT)
TEXT = base64.b64encode(PNG).decode()
MARK = "[image image/png 3x2, 1 KB]"


class Figure:
    """As matplotlib's figures."""

    def savefig(self, file: Any, *, format: str) -> None:
        assert format == "png"
        file.write(PNG)


class Axes:
    figure = Figure()

    def plot(self) -> None:
        """Draw."""


class Content(BaseModel):
    """As the results of MCP's tools."""

    type: str = "image"
    data: str = TEXT
    mimeType: str = "image/png"


@pytest.mark.parametrize(
    "value",
    [
        Image(PNG),
        Image(data=PNG, media_type="image/png"),
        Image(TEXT),  # type: ignore[arg-type]
        Image(f"data:image/png;base64,{TEXT}"),  # type: ignore[arg-type]
        DOT,
        Pillow.new("CMYK", (3, 2)),
        Figure(),
        Axes(),
        PNG,
        bytearray(PNG),
        f"data:image/png;base64,{TEXT}",
        Content(),
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{TEXT}"}},
        {"type": "input_image", "image_url": f"data:image/png;base64,{TEXT}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": TEXT}},
        {"type": "image", "data": TEXT, "mimeType": "image/png"},
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_way_to_return_a_picture(value):
    alone = to_result(value)
    assert (alone.error, alone.output, alone.data) == (None, MARK, None)
    (image,) = alone.images
    assert (image.media_type, image.data[:4]) == ("image/png", b"\x89PNG")
    within = to_result({"text": "plotted", "chart": [value]})
    assert within.data == {"text": "plotted", "chart": [MARK]}
    assert len(within.images) == 1
    assert to_result(within) == within


def test_pictures_beside_the_output():
    result = to_result(ToolResult("plotted", images=[DOT, Figure()], base64_image=TEXT))
    assert result.output == f"plotted\n{MARK}"
    assert len(result.images) == 3
    failed = to_result(ToolResult(error="the page is gone", base64_image=TEXT))
    assert failed.error == "the page is gone"
    assert len(failed.images) == 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_the_kind_is_told_by_the_bytes(kind):
    image = Image(saved(DOT, kind))
    assert image.media_type == f"image/{kind.lower()}"
    assert str(image).startswith(f"[image image/{kind.lower()}")
    assert image.url == f"data:{image.media_type};base64,{image.base64}"


@pytest.mark.parametrize("data", [b"<svg onload='alert(1)'/>", b"", "not base64!", b"%PDF-1.7"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(ValueError, match="Image"):
        Image(data)
    with pytest.raises(ValueError, match="image/svg"):
        Image(data=b"<svg/>", media_type="image/svg+xml")


@pytest.mark.parametrize(
    "value",
    [
        "data:image/png;base64,not base64!",
        "data:image/svg+xml;base64,PHN2Zy8+",
        {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}},
        {"type": "image", "data": 5},
    ],
)
def test_what_only_looks_like_one_stays_as_it_is(value):
    result = to_result(value)
    assert (result.error, result.images) == (None, ())


def test_pictures_that_are_too_large_are_told_in_words():
    large = Image(PNG + bytes(MAX_PICTURE_BYTES))
    result = to_result([large, Image(PNG)])
    assert "too large to be shown: a result may have 512 KB" in result.data[0]
    assert result.data[1] == MARK
    assert len(result.images) == 1
    many = to_result([Image(PNG + bytes(MAX_PICTURE_BYTES // 2))] * 3)
    assert len(many.images) == 1


def test_a_photo_is_made_a_jpeg_where_it_is_too_large_else():
    photo = Pillow.effect_noise((800, 800), 60).convert("RGB")
    assert len(saved(photo)) > MAX_PICTURE_BYTES
    (image,) = to_result(photo).images
    assert image.media_type == "image/jpeg"


def test_a_wrong_picture_is_a_failure_not_a_crash(caplog):
    for wrong in (ToolResult("x", base64_image="!"), ToolResult("x", images=["x.png"])):
        assert to_result(wrong).failed
