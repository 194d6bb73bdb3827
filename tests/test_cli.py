"""The command, run as a user runs it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import cconv
from cconv import cli


def run(*args, code=0, cwd=None):
    """Run `python -m cconv`; stdout, or the one line on stderr where it is to fail."""
    done = subprocess.run([sys.executable, "-P", "-m", "cconv", *map(str, args)], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == code, (args, done.stdout, done.stderr)
    if code:
        assert done.stdout == "" and done.stderr.count("\n") == 1 and done.stderr.startswith("cconv"), done.stderr
        return done.stderr
    assert done.stderr == ""
    return done.stdout


def call(*args):
    """The same in this process, for the many cases that need no process of their own."""
    return cli.main([str(a) for a in args])


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    cconv.write_picture(path, cconv.sample_picture()[::9, ::9])
    return path


def test_filter_writes_what_correlate_computes(photo, tmp_path):
    out = tmp_path / "out.png"
    assert run("filter", photo, "-o", out, "--kernel", "gaussian:9,1.5", "--padding", "same",
               "--padding-mode", "edge") == ""
    expected = cconv.correlate(cconv.read_picture(photo), cconv.kernels.gaussian(9, 1.5), padding="same",
                               padding_mode="edge", dtype=np.uint8)
    assert (cconv.read_picture(out) == expected).all()


def test_the_script_is_installed_and_says_its_version():
    script = os.path.join(os.path.dirname(sys.executable), "cconv")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.stdout == f"cconv {cconv.__version__}\n"


@pytest.mark.parametrize(
    "options, kwargs",
    [
        (["--matrix", "0 -1 0; -1 5 -1; 0 -1 0"], {"kernel": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]}),
        (["--matrix", "1,2;3,4", "--normalize", "sum", "--stride", "2", "--padding", "1,2"],
         {"kernel": [[1, 2], [3, 4]], "normalize": "sum", "stride": 2, "padding": (1, 2)}),
        (["--matrix", "1/9 1/9", "--padding", "0,1,2,3", "--dilation", "1,2", "--bias", "-3.5"],
         {"kernel": [[1 / 9, 1 / 9]], "padding": ((0, 1), (2, 3)), "dilation": (1, 2), "bias": -3.5}),
        (["--kernel", "box:3", "--padding", "full", "--padding-value", "255"],
         {"kernel": cconv.kernels.box(3), "padding": "full", "padding_mode": "constant", "padding_value": 255}),
        (["--kernel", "sobel:1", "--correlate"], {"kernel": cconv.kernels.sobel(1)}),
    ],
)
def test_every_option_means_the_argument_of_its_name(photo, tmp_path, options, kwargs):
    assert call("filter", photo, "-o", tmp_path / "out.png", *options) == 0
    expected = cconv.correlate(cconv.read_picture(photo), dtype=np.uint8, **kwargs)
    assert (cconv.read_picture(tmp_path / "out.png") == expected).all()


def test_convolve_and_repeat(photo, tmp_path):
    call("filter", photo, "-o", tmp_path / "out.png", "--kernel", "emboss", "--convolve", "--repeat", 3)
    y = cconv.read_picture(photo)
    for _ in range(2):
        y = cconv.convolve(y, cconv.kernels.emboss())
    y = cconv.convolve(y, cconv.kernels.emboss(), dtype=np.uint8)
    assert (cconv.read_picture(tmp_path / "out.png") == y).all()


def test_resize_padding_zooms_first(photo, tmp_path):
    call("filter", photo, "-o", tmp_path / "out.png", "--kernel", "box:5", "--padding", "same", "--padding-mode", "resize")
    x = cconv.read_picture(photo)
    y = cconv.correlate(cconv.pad(x, 2, "resize", channel_axis=-1), cconv.kernels.box(5), dtype=np.uint8)
    assert y.shape == x.shape
    assert (cconv.read_picture(tmp_path / "out.png") == y).all()


def test_many_files_and_a_folder_at_once(photo, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.jpg", "c.bmp"):
        cconv.write_picture(folder / name, cconv.read_picture(photo))
    (folder / "notes.txt").write_text("no picture")
    assert run("filter", folder, photo, "-o", tmp_path / "out", "--kernel", "sharpen") == ""
    assert sorted(os.listdir(tmp_path / "out")) == ["a.png", "b.jpg", "c.bmp", "photo.png"]
    message = run("filter", folder, photo, "-o", tmp_path / "out", "--kernel", "sharpen", code=1)
    assert "exists; pass --force to overwrite it" in message
    assert run("filter", folder, photo, "-o", tmp_path / "out", "--kernel", "sharpen", "--force") == ""
    message = run("filter", photo, folder / "a.png", "-o", tmp_path / "one.png", "--kernel", "sharpen", code=2)
    assert "want a folder" in message
    (tmp_path / "other").mkdir()
    cconv.write_picture(tmp_path / "other" / "a.png", cconv.read_picture(photo))
    message = run("filter", folder, tmp_path / "other" / "a.png", "-o", tmp_path / "new", "--kernel", "sharpen", code=2)
    assert "would both become" in message


def test_progress_is_one_rewritten_line_on_a_terminal(photo, tmp_path):
    pty = pytest.importorskip("pty", reason="terminals are POSIX")
    ours, theirs = pty.openpty()
    copy = tmp_path / "copy.png"
    copy.write_bytes(photo.read_bytes())
    command = [sys.executable, "-P", "-m", "cconv", "filter", photo, copy, "-o", tmp_path / "out", "--kernel", "box:3"]
    done = subprocess.run([str(word) for word in command], stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    seen = os.read(ours, 4096).decode()
    os.close(ours)
    assert done.returncode == 0 and done.stdout == b""
    assert "1/2 photo.png" in seen and "2/2 copy.png" in seen and "\n" not in seen


def test_a_broken_picture_among_many_does_not_stop_the_others(photo, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(photo.read_bytes()[:200])
    assert call("filter", bad, photo, "-o", tmp_path / "out", "--kernel", "box:3") == 1
    assert "1 of 2 pictures failed" in capsys.readouterr().err
    assert os.listdir(tmp_path / "out") == ["photo.png"]


def test_an_existing_file_is_not_overwritten_and_a_failure_leaves_it(photo, tmp_path):
    out = tmp_path / "out.png"
    out.write_bytes(b"precious")
    assert "exists; pass --force" in run("filter", photo, "-o", out, "--kernel", "box:3", code=1)
    run("filter", photo, "-o", out, "--kernel", "box:99", "--force", code=1)
    assert out.read_bytes() == b"precious"


@pytest.mark.parametrize(
    "args, text",
    [
        (["--kernel", "gauss"], "did you mean 'gaussian'"),
        (["--kernel", "box:0"], "size is 0; want an integer of at least 1"),
        (["--kernel", "box:x"], "'x' is not a number"),
        (["--kernel", "sobel:1,2"], "sobel takes axis; got 2 numbers"),
        (["--matrix", "1 2; 3"], "rows of 2, 1 taps"),
        (["--matrix", ""], "rows of none taps"),
        (["--matrix", "1 two"], "'two' is not a number"),
        (["--kernel", "box:3", "--matrix", "1"], "not allowed with argument"),
        ([], "one of the arguments --kernel --matrix is required"),
        (["--kernel", "box:3", "--stride", "1,2,3"], "--stride 1,2,3: want 1 or 2 integers"),
        (["--kernel", "box:3", "--stride", "0"], "--stride 0: want 1 or 2 integers of at least 1"),
        (["--kernel", "box:3", "--stride", "-1"], "--stride -1: want 1 or 2 integers of at least 1"),
        (["--kernel", "box:3", "--dilation", "0,1"], "--dilation 0,1: want 1 or 2 integers of at least 1"),
        (["--kernel", "box:3", "--padding", "-1"], "--padding -1: want 1 or 2 or 4 integers of at least 0"),
        (["--kernel", "box:3", "--padding", "-1,2"], "--padding -1,2: want 1 or 2 or 4 integers of at least 0"),
        (["--kernel", "box:3", "--stride", "9" * 5000], "want 1 or 2 integers"),
        (["--matrix", "1e99999999"], "'1e99999999' is not a number"),
        (["--matrix", "1 nan"], "'nan' is not a number"),
        (["--matrix", "1/0"], "'1/0' is not a number"),
        (["--matrix", "9" * 5000], "9...' is not a number"),
        (["--kernel", "gaussian:9,1e99999999"], "'1e99999999' is not a number"),
        (["--kernel", "box:3", "--bias", "inf"], "'inf' is not a number"),
        (["--kernel", "box:3", "--padding-value", "x"], "'x' is not a number"),
        (["--kernel", "box:3", "--padding", "sam"], "did you mean 'same'"),
        (["--kernel", "box:3", "--padding-mode", "mirrored"], "did you mean 'mirror'"),
        (["--kernel", "box:3", "--normalize", "mean"], "invalid choice: 'mean'"),
        (["--kernel", "box:3", "--repeat", "0"], "--repeat 0: want an integer of at least 1"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_status_2(photo, tmp_path, args, text):
    assert text in run("filter", photo, "-o", tmp_path / "o.png", *args, code=2)
    assert not (tmp_path / "o.png").exists()


@pytest.mark.parametrize(
    "options, kwargs",
    [
        (["--matrix", "-1,0,1;-2,0,2"], {"kernel": [[-1, 0, 1], [-2, 0, 2]]}),
        (["--matrix", "-1/9,0,1"], {"kernel": [[-1 / 9, 0, 1]]}),
        (["--matrix", "-.5 2"], {"kernel": [[-0.5, 2]]}),
        (["--matrix", "1", "--bias", "-5e1"], {"kernel": [[1]], "bias": -50}),
        (["--matrix", "1", "--bias", "1/4"], {"kernel": [[1]], "bias": 0.25}),
        (["--matrix", "2 -1", "--padding", "1", "--padding-value", "-3"],
         {"kernel": [[2, -1]], "padding": 1, "padding_mode": "constant", "padding_value": -3}),
    ],
)
def test_numbers_with_a_leading_minus_stand_alone(photo, tmp_path, options, kwargs):
    assert call("filter", photo, "-o", tmp_path / "out.png", *options) == 0
    expected = cconv.correlate(cconv.read_picture(photo), dtype=np.uint8, **kwargs)
    assert (cconv.read_picture(tmp_path / "out.png") == expected).all()


def test_a_slash_at_the_end_means_a_folder(photo, tmp_path):
    assert call("filter", photo, "-o", f"{tmp_path}/new/er/", "--kernel", "box:3") == 0
    assert os.listdir(tmp_path / "new" / "er") == ["photo.png"]
    assert call("filter", photo, "-o", f"{tmp_path}/odd.png/", "--kernel", "box:3") == 0
    assert (tmp_path / "odd.png" / "photo.png").is_file()


@pytest.mark.parametrize("command", [
    ["filter", "--kernel", "box:3"], ["gallery"], ["demo"], ["animate", "--kernel", "box:3", "--cells", "4"],
])
def test_every_command_makes_folders_but_only_when_it_writes(photo, tmp_path, command, capsys, monkeypatch):
    name, *options = command
    for out, text in (("made/x.nothing", ".gif" if name == "animate" else "no known ending"),
                      ("made/x.psd", ".gif" if name == "animate" else "Pillow cannot write PSD"),
                      ("photo.png/sub/x.gif", "is no folder")):
        with monkeypatch.context() as patched:
            if name != "animate":  # nothing is read, nothing printed
                patched.setattr(cconv.cli.photo, "load", lambda path: pytest.fail("read before the ending was checked"))
            assert call(name, photo, "-o", tmp_path / out, *options) in (1, 2)
        printed = capsys.readouterr()
        assert text in printed.err and printed.out == ""
        assert os.listdir(tmp_path) == ["photo.png"]
    assert call("animate", photo, "-o", tmp_path / "made" / "x.gif", "--matrix", " ".join("1" * 30)) == 1
    assert os.listdir(tmp_path) == ["photo.png"]
    target = tmp_path / "made" / "deep" / ("x.gif" if name == "animate" else "x.png")
    assert call(name, photo, "-o", target, *options) == 0 and target.is_file()
    assert call(name, photo, "-o", target, *options) == 1
    assert f"{target} exists; pass --force to overwrite it" in capsys.readouterr().err
    assert call(name, photo, "-o", target, *options, "--force") == 0
    assert os.listdir(target.parent) == [target.name]


def test_a_folder_is_read_without_hidden_files_and_what_no_one_opens(photo, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", ".hidden.png", "._a.png", "b.pdf"):
        (folder / name).write_bytes(photo.read_bytes())
    assert call("filter", folder, "-o", tmp_path / "out", "--kernel", "box:3") == 0
    assert os.listdir(tmp_path / "out") == ["a.png"]
    (folder / "broken.png").write_text("no picture")
    capsys.readouterr()
    assert call("filter", folder, "-o", tmp_path / "more", "--kernel", "box:3") == 1
    error = capsys.readouterr().err
    assert error.count("broken.png") == 1 and "broken.png is not a picture" in error
    assert call("filter", folder, "-o", tmp_path / "none", "--kernel", "box:99") == 1
    error = capsys.readouterr().err
    assert error.count("a.png") == 1 and "a.png: nothing would be left" in error


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_pictures_are_shown_in_all_their_greys(tmp_path, dtype):
    ramp = np.linspace(0, 255, 40 * 50).round().reshape(40, 50)
    deep = (ramp * {np.uint16: 257, np.int32: 1e6, np.float32: 1 / 255}[dtype]).astype(dtype)
    cconv.write_picture(tmp_path / "deep.tiff", deep)
    cconv.write_picture(tmp_path / "plain.tiff", ramp)
    for command in (["gallery"], ["demo"], ["animate", "--kernel", "box:3", "--cells", "4"]):
        ending = "gif" if command[0] == "animate" else "png"
        for name in ("deep", "plain"):
            out = tmp_path / f"{name}.{ending}"
            assert call(command[0], tmp_path / f"{name}.tiff", "-o", out, *command[1:], "--force") == 0
        assert (tmp_path / f"deep.{ending}").read_bytes() == (tmp_path / f"plain.{ending}").read_bytes()


def test_what_fails_is_one_line_and_status_1(photo, tmp_path):
    (tmp_path / "text.png").write_text("no picture at all")
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:300])
    (tmp_path / "empty").mkdir()
    cconv.write_picture(tmp_path / "deep.tiff", np.zeros((3, 3), np.int32))
    common = ["--kernel", "box:3"]
    for name, out, text in (
        ("absent.png", "o.png", "No such file"),
        ("text.png", "o.png", "is not a picture that Pillow can read"),
        ("cut.png", "o.png", "is broken"),
        ("empty", "o", "holds no picture files"),
        ("photo.png", "o.nothing", "has no known ending of a picture"),
        ("deep.tiff", "o.png", "cannot hold the int32 pixels"),
        ("photo.png", "absent/sub/o.png", None),
    ):
        if text is None:
            run("filter", tmp_path / name, "-o", tmp_path / out, *common)
        else:
            assert text in run("filter", tmp_path / name, "-o", tmp_path / out, *common, code=1)
    assert "nothing would be left" in run("filter", photo, "-o", tmp_path / "p.png", "--kernel", "box:99", code=1)


def test_demo_prints_the_table_and_writes_the_sheet(tmp_path):
    printed = run("demo", cwd=tmp_path)
    assert "Y[0,0] = 28/9, Y[2,1] = 39/9, shape (3, 3)" in printed
    for line, shape in (("5x5 blur, no padding", "(455, 608)"), ("5x5 blur, padding 2, stride 2", "(230, 306)")):
        assert any(row.startswith(line) and row.endswith(shape) for row in printed.splitlines())
    with Image.open(tmp_path / "cconv-demo.png") as sheet:
        assert sheet.mode == "RGB" and min(sheet.size) > 600


def test_demo_does_not_overwrite_unasked(photo, tmp_path):
    (tmp_path / "cconv-demo.png").write_bytes(b"precious")
    assert "exists; pass --force" in run("demo", photo, cwd=tmp_path, code=1)
    assert (tmp_path / "cconv-demo.png").read_bytes() == b"precious"
    assert "divided by 16," in run("demo", photo, "--force", cwd=tmp_path)


def test_demo_runs_on_a_file_of_ones_own(photo, tmp_path):
    assert "(51, 68)" in run("demo", photo, "-o", tmp_path / "own.png")
    assert (tmp_path / "own.png").exists()


def test_gallery_shows_every_kernel(photo, tmp_path):
    assert run("gallery", photo, "-o", tmp_path / "sheet.png") == ""
    assert min(cconv.read_picture(tmp_path / "sheet.png").shape[:2]) > 600
    assert "exists" in run("gallery", photo, "-o", tmp_path / "sheet.png", code=1)


@pytest.mark.parametrize(
    "options, shape",
    [([], (4, 6)), (["--stride", "2"], (2, 3)), (["--dilation", "2", "--padding", "2"], (6, 8)),
     (["--padding", "same", "--padding-mode", "resize", "--bias", "-3", "--normalize", "size"], (6, 8))],
)
def test_animate_has_a_frame_for_every_position(photo, tmp_path, options, shape):
    printed = run("animate", photo, "-o", tmp_path / "slide.gif", "--kernel", "box:3", "--cells", 8, *options)
    assert printed == f"{tmp_path / 'slide.gif'}: {shape[0] * shape[1]} frames\n"
    with Image.open(tmp_path / "slide.gif") as gif:
        assert gif.n_frames == shape[0] * shape[1]
        frames = [np.asarray((gif.seek(i), gif.convert("RGB"))[1]) for i in range(3)]
    assert (frames[0] != frames[1]).any() and (frames[1] != frames[2]).any()
    assert ".gif" in run("animate", photo, "-o", tmp_path / "slide.png", "--kernel", "box:3", code=2)


def test_kernels_lists_all_of_them_with_their_numbers():
    printed = run("kernels")
    for name in cconv.kernels.NAMED:
        assert f"\n{name}  " in "\n" + printed
    assert "-1 -2 -1" in run("kernels", "sobel:0")
    assert "did you mean" in run("kernels", "sobbel", code=2)


def test_the_help_says_what_surprises():
    printed = " ".join(run("filter", "--help").split())
    assert "filter N times, rounding only at the end" in printed
    assert "it turns zeros into constant" in printed


def test_explain_prints_the_plan(photo):
    printed = run("explain", photo, "--kernel", "gaussian:9", "--padding", "same", "--normalize", "sum")
    for word in ("algorithm", "why", "multiplications", "workspace", "isa"):
        assert f"\n{word}" in "\n" + printed
    assert "want" in run("explain", photo, "--kernel", "box:0", code=2)


def test_info_names_the_machine():
    printed = run("info")
    for word in ("cconv", "Python", "NumPy", "CPU", "compiler", "workers"):
        assert f"\n{word} " in "\n" + printed


def test_help_names_every_command_and_nothing_crashes_without_one():
    printed = run("--help")
    for command in ("demo", "filter", "gallery", "animate", "explain", "kernels", "vendor", "info"):
        assert command in printed and "usage" in run(command, "--help")
    run(code=2)
