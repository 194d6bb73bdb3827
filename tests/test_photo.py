"""Pictures in files: what is kept, what is refused, what a failure leaves behind."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import cconv
from cconv import cli, photo, show

RNG = np.random.default_rng(8)


def call(*args):
    return cli.main([str(a) for a in args])


def pixels(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def refused(folder, name, array, text):
    """`array` is not written as `name`, for that reason; what was there stays, and nothing else is there."""
    (folder / name).write_bytes(b"precious")
    with pytest.raises(ValueError) as caught:
        cconv.write_picture(folder / name, array)
    message = str(caught.value)
    assert text in message and "\n" not in message, message
    assert os.listdir(folder) == [name] and (folder / name).read_bytes() == b"precious"


@pytest.mark.parametrize("ending", ["png", "tif", "tiff", "jp2"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_uint16_is_kept_where_the_format_holds_it(tmp_path, ending, dtype):
    if ending == "jp2":
        pytest.importorskip("PIL.Jpeg2KImagePlugin")
    grey = pixels(10, 30, dtype=np.uint16)
    cconv.write_picture(tmp_path / f"x.{ending}", grey.astype(dtype))
    back = cconv.read_picture(tmp_path / f"x.{ending}")
    assert back.dtype == np.uint16 and (back == grey).all()


def test_a_pgm_of_16_bits_is_read_as_such(tmp_path):  # and written by Pillow 11 or newer
    grey = pixels(2, 3, dtype=np.uint16)
    (tmp_path / "x.pgm").write_bytes(b"P5 3 2 65535\n" + grey.astype(">u2").tobytes())
    back = cconv.read_picture(tmp_path / "x.pgm")
    assert back.dtype == np.uint16 and (back == grey).all()


@pytest.mark.parametrize("ending", ["jpg", "gif", "webp", "bmp", "sgi", "tga"])
def test_uint16_is_refused_elsewhere(tmp_path, ending):
    refused(tmp_path, f"x.{ending}", pixels(10, 30, dtype=np.uint16), "save it as .png or .tiff, or pass uint8")


@pytest.mark.parametrize("ending", ["png", "ppm", "im", "jpg"])
def test_int32_is_for_tiff_only(tmp_path, ending):
    refused(tmp_path, f"x.{ending}", np.full((3, 4), 70000, np.int32), "cannot hold int32: save it as .tiff")


@pytest.mark.parametrize("ending", ["ppm", "bmp", "jpg", "pcx"])
@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_is_never_dropped(tmp_path, ending, channels):
    refused(tmp_path, f"x.{ending}", pixels(10, 30, channels), f"x.{ending} cannot hold transparency")


@pytest.mark.parametrize("shape", [(10, 300), (300, 10, 3), (400, 300, 4)])
def test_icons_do_not_shrink_a_picture(tmp_path, shape):
    size = f"x.ico cannot hold {shape[1]} x {shape[0]} pixels"
    refused(tmp_path, "x.ico", pixels(*shape), size)
    cconv.write_picture(tmp_path / "y.png", pixels(*shape))


def test_a_gif_holds_greys_and_no_rounded_colours(tmp_path):
    refused(tmp_path, "x.gif", pixels(40, 40, 3), "round them to a palette; save it as .png")
    grey = pixels(10, 300)
    cconv.write_picture(tmp_path / "grey.gif", grey)
    assert (cconv.read_picture(tmp_path / "grey.gif").reshape(10, 300, -1) == grey[:, :, None]).all()


@pytest.mark.parametrize("ending", ["png", "tiff", "bmp", "tga", "ppm", "sgi", "jpg", "webp"])
@pytest.mark.parametrize("shape", [(10, 300), (300, 10, 3)])
def test_what_was_written_is_read(tmp_path, ending, shape):
    x = pixels(*shape)
    cconv.write_picture(tmp_path / f"x.{ending}", x)
    back = cconv.read_picture(tmp_path / f"x.{ending}")
    assert back.shape[:2] == shape[:2]
    if ending not in ("jpg", "webp"):
        assert (back == x).all()


def test_jpeg_is_written_at_quality_95(tmp_path):
    x = cconv.sample_picture()
    cconv.write_picture(tmp_path / "x.jpg", x)
    Image.fromarray(x).save(tmp_path / "y.jpg", quality=95)
    assert (tmp_path / "x.jpg").read_bytes() == (tmp_path / "y.jpg").read_bytes()


@pytest.mark.parametrize(
    "name, array, text",
    [
        ("x.sgi", np.zeros((1, 70000), np.uint8), "x.sgi cannot hold 70000 x 1 pixels"),
        ("x.gif", np.zeros((1, 70000), np.uint8), "x.gif cannot hold 70000 x 1 pixels"),
        ("x.jpg", np.zeros((1, 70000), np.uint8), "x.jpg cannot hold 70000 x 1 pixels"),
        ("x.psd", np.zeros((3, 3)), "x.psd: Pillow cannot write PSD pictures"),
        ("x.mpg", np.zeros((3, 3)), "x.mpg: Pillow cannot write MPEG pictures"),
        ("x.pdf", np.zeros((3, 3)), "x.pdf: Pillow cannot read back PDF pictures"),
        ("x.wmf", np.zeros((3, 3)), "x.wmf cannot hold 3 x 3 pixels"),
        ("x", np.zeros((3, 3)), "x has no known ending of a picture"),
    ],
)
def test_what_pillow_cannot_save_is_one_line(tmp_path, name, array, text):
    refused(tmp_path, name, array, text)


@pytest.mark.parametrize("error", [SystemError("tile cannot extend"), OverflowError("too large"), KeyError("x")])
def test_whatever_pillow_raises_is_one_line(tmp_path, monkeypatch, error):
    def broken(self, name, *args, **kwargs):
        Path(name).write_bytes(b"half")
        raise error

    monkeypatch.setattr(Image.Image, "save", broken)
    refused(tmp_path, "x.png", np.zeros((3, 3)), f"x.png cannot hold 3 x 3 pixels of mode L ({error})")


@pytest.mark.parametrize("write", [
    lambda path: cconv.write_picture(path, np.zeros((3, 3))),
    lambda path: show.animate(np.eye(3), [[1]], path),
])
def test_ctrl_c_while_saving_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, write):
    def interrupted(self, name, *args, **kwargs):
        Path(name).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    (tmp_path / "x.gif").write_bytes(b"precious")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "x.gif")
    assert os.listdir(tmp_path) == ["x.gif"] and (tmp_path / "x.gif").read_bytes() == b"precious"


def test_the_longest_name_can_be_written(tmp_path):
    for name in ("a" * 245 + ".png", "a" * 251 + ".gif"):
        cconv.write_picture(tmp_path / name, np.zeros((3, 3)))
    show.animate(np.eye(3), [[1]], tmp_path / ("b" * 251 + ".gif"))
    assert len(os.listdir(tmp_path)) == 3


def test_an_absent_folder_is_named_by_the_path_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        cconv.write_picture(tmp_path / "absent" / "x.png", np.zeros((3, 3)))
    assert caught.value.filename == str(tmp_path / "absent" / "x.png")


def test_swapped_arguments_are_named(tmp_path):
    with pytest.raises(TypeError, match=r"^path is an array of shape \(3, 3\) .*write_picture\(path, array\)$"):
        cconv.write_picture(np.zeros((3, 3)), tmp_path / "x.png")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1_do_not_become_black(tmp_path, dtype):
    x = np.linspace(0, 1, 12, dtype=dtype).reshape(3, 4)
    refused(tmp_path, "x.png", x, "array holds values from 0 to 1, which would become black: multiply by 255")
    os.remove(tmp_path / "x.png")
    for good in (x * 255, x - 0.01, np.round(x), np.zeros_like(x), np.ones_like(x)):
        cconv.write_picture(tmp_path / "x.png", good)
        assert (cconv.read_picture(tmp_path / "x.png") == good.round().clip(0, 255)).all()
    cconv.write_picture(tmp_path / "x.tiff", x.astype(np.float32))
    assert (cconv.read_picture(tmp_path / "x.tiff") == x.astype(np.float32)).all()


def test_a_picture_of_any_depth_can_be_shown():
    assert photo.to_display(np.array([[0, 257, 65535]], np.uint16)).tolist() == [[0, 1, 255]]
    assert photo.to_display(np.array([[-100000, 0, 100000]], np.int32)).tolist() == [[0, 128, 255]]
    floats = np.array([[0.25, 0.5, np.nan, np.inf, 0.75]], np.float32)
    assert photo.to_display(floats).tolist() == [[0, 128, 0, 255, 255]]
    assert photo.to_display(np.full((1, 2), 1e6, np.float32)).tolist() == [[0, 0]]
    small = pixels(3, 4, 3)
    assert photo.to_display(small) is small


def test_the_profile_and_the_dpi_are_found_and_kept_where_they_fit(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for ending in ("jpg", "png", "tiff"):
        source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
        Image.fromarray(pixels(9, 9, 3)).save(source, icc_profile=profile, dpi=(300, 150))
        array, extras = photo.load(source)
        photo.save(target, array, extras)
        with Image.open(target) as back:
            assert back.info["icc_profile"] == profile
            assert tuple(round(float(v)) for v in back.info["dpi"]) == (300, 150)
        photo.save(tmp_path / "plain.bmp", array, extras)
    Image.fromarray(pixels(9, 9)).save(tmp_path / "grey.png", icc_profile=profile, dpi=(0, 0))
    assert photo.load(tmp_path / "grey.png")[1] == {}  # a profile of RGB says nothing about greys
    image = Image.fromarray(pixels(9, 5, 3))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif, dpi=(300, 150))
    assert photo.load(tmp_path / "turned.jpg")[1] == {"dpi": (150, 300)}


def test_a_white_tile_can_be_seen_on_the_white_sheet():
    sheet = show.contact_sheet([("white", np.full((20, 20), 255))], width=100)
    assert (sheet[sheet.shape[0] // 3].min(1) < 230).sum() == 2  # the left and the right side of its frame


def test_the_gallery_does_not_show_the_rounding_of_a_flat_picture():
    label, tile = show._effect(np.full((30, 30, 3), 99, np.uint8), "log:9", cconv.kernels.log(9))
    assert label == "log:9   (128 + 1 r)" and (tile == 128).all()


def test_the_gallery_keeps_alpha():
    for channels in (2, 4):
        x = pixels(30, 20, channels)
        _, tile = show._effect(x, "box", cconv.kernels.box(3))
        assert tile.shape == x.shape and (tile[..., -1] == x[..., -1]).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept_as_it_is(tmp_path, mode):
    channels = len(mode)
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, channels), dtype=np.uint8)
    cconv.write_picture(tmp_path / "in.png", pixels)
    call("filter", tmp_path / "in.png", "-o", tmp_path / "out.png", "--kernel", "box:5", "--padding", "same")
    result = cconv.read_picture(tmp_path / "out.png")
    assert (result[..., -1] == pixels[..., -1]).all()
    colours = cconv.correlate(pixels[..., :-1], cconv.kernels.box(5), padding="same", dtype=np.uint8)
    assert (result[..., :-1] == colours).all()
    call("filter", tmp_path / "in.png", "-o", tmp_path / "half.png", "--kernel", "box:3", "--padding", "1", "--stride", 2)
    assert (cconv.read_picture(tmp_path / "half.png")[..., -1] == pixels[::2, ::2, -1]).all()


@pytest.mark.parametrize("convolve", [[], ["--convolve"]])
@pytest.mark.parametrize("size, options, shift", [
    ((2, 2), ["--padding", "same"], (0, 0)),
    ((4, 2), ["--padding", "same"], (0, 0)),
    ((2, 4), ["--padding", "same", "--dilation", "3"], (0, 0)),
    ((2, 2), ["--padding", "same", "--dilation", "2"], (0, 0)),
    ((2, 2), ["--padding", "same_lower"], (0, 0)),
    ((4, 3), [], (1, 1)),
    ((4, 2), ["--padding", "2,1,0,0"], (-1, 0)),
])
def test_alpha_stays_where_the_picture_does_under_even_kernels(tmp_path, size, options, shift, convolve):
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    cconv.write_picture(tmp_path / "in.png", pixels)
    matrix = ";".join([" ".join(["1"] * size[1])] * size[0])
    assert call("filter", tmp_path / "in.png", "-o", tmp_path / "out.png", "--matrix", matrix, *convolve, *options) == 0
    alpha = cconv.read_picture(tmp_path / "out.png")[..., 3]
    places = [np.clip(np.arange(n) + s, 0, m - 1) for n, s, m in zip(alpha.shape, shift, (20, 30), strict=True)]
    assert (alpha == pixels[..., 3][np.ix_(*places)]).all()


def test_filter_keeps_the_colour_profile_and_the_dpi(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(cconv.sample_picture()).save(tmp_path / "in.jpg", icc_profile=profile, dpi=(300, 300))
    assert call("filter", tmp_path / "in.jpg", "-o", tmp_path / "out.png", "--kernel", "box:3") == 0
    with Image.open(tmp_path / "out.png") as out:
        assert out.info["icc_profile"] == profile and round(out.info["dpi"][0]) == 300


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16", "I", "F"])
def test_every_mode_of_pillow_goes_through(tmp_path, mode):
    base = Image.fromarray(np.random.default_rng(2).integers(0, 256, (12, 15), dtype=np.uint8))
    image = {
        "I;16": lambda: Image.fromarray(np.asarray(base).astype(np.uint16) * 257),
        "I": lambda: Image.fromarray(np.asarray(base).astype(np.int32) * 65537),
        "F": lambda: Image.fromarray(np.asarray(base).astype(np.float32) / 255),
    }.get(mode, lambda: base.convert(mode))()
    assert image.mode == mode
    image.save(tmp_path / "in.tiff")
    assert call("filter", tmp_path / "in.tiff", "-o", tmp_path / "out.tiff", "--kernel", "identity", "--padding", 1) == 0
    before, after = cconv.read_picture(tmp_path / "in.tiff"), cconv.read_picture(tmp_path / "out.tiff")
    assert before.dtype == after.dtype and (before == after).all()
    wanted = {"I;16": np.uint16, "I": np.int32, "F": np.float32}.get(mode, np.uint8)
    assert before.dtype == wanted and before.shape == ((12, 15, 3) if mode in ("P", "RGB") else (12, 15))
    if mode != "P":
        values = np.asarray(image)
        assert (before == (values * 255 if mode == "1" else values)).all()


@pytest.mark.parametrize("ending", ["tiff", "png"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path, ending, mode, orientation):
    stored = np.arange(200, dtype=np.uint8).reshape(10, 20)
    upright = {1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.T,
               6: np.rot90(stored, -1), 7: stored[::-1, ::-1].T, 8: np.rot90(stored)}[orientation]
    image = Image.fromarray(stored).convert(mode)
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / f"in.{ending}"
    image.save(path, exif=exif)
    assert (cconv.read_picture(path) == (upright if mode == "L" else upright[..., None])).all()


def test_a_transparent_palette_becomes_rgba(tmp_path):
    image = Image.fromarray(np.random.default_rng(5).integers(0, 4, (6, 7), dtype=np.uint8)).convert("P")
    image.save(tmp_path / "in.png", transparency=2)
    assert cconv.read_picture(tmp_path / "in.png").shape == (6, 7, 4)


def test_a_too_large_picture_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    cconv.write_picture(tmp_path / "big.png", np.zeros((50, 50), np.uint8))
    with pytest.raises(ValueError, match="big.png is too large: .*2500 pixels.*raise PIL.Image.MAX_IMAGE_PIXELS"):
        cconv.read_picture(tmp_path / "big.png")
