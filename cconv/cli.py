"""The command `cconv`: pictures filtered, shown and explained from a terminal.

Errors are one line on stderr; exit status 2 for a command that cannot be meant, 1 for one that
failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import __version__, engine, geometry, images, kernels, loop, photo, workers
from .explain import explain
from .options import Usage, add_kernel, convolution, join_negative, parse_kernel


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see '{self.prog} --help')\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = _parser()
    args = parser.parse_args(join_negative(sys.argv[1:] if argv is None else argv))
    try:
        return int(args.run(args) or 0)
    except Usage as error:
        print(f"cconv {args.command}: {error} (see 'cconv {args.command} --help')", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stdout = None
        return 1
    except (OSError, ValueError, TypeError, OverflowError, MemoryError) as error:
        print(f"cconv {args.command}: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"cconv {args.command}: interrupted", file=sys.stderr)
        return 130


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _parser() -> Parser:
    parser = Parser(prog="cconv", description="Convolution of pictures.")
    parser.add_argument("--version", action="version", version=f"cconv {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    demo = commands.add_parser("demo", help="run the lecture's experiments, write their pictures")
    demo.add_argument("picture", nargs="?", metavar="PICTURE", help="default: the flower that ships with cconv")
    demo.add_argument("-o", "--output", default="cconv-demo.png", metavar="OUT", help="default: %(default)s")
    demo.add_argument("--force", action="store_true", help="overwrite OUT if it exists")
    demo.set_defaults(run=_demo)

    filter_ = commands.add_parser(
        "filter", help="filter pictures with a kernel",
        epilog="example: cconv filter photo.jpg -o soft.png --kernel gaussian:9,1.5 --padding same "
        "--padding-mode edge",
    )
    filter_.add_argument("pictures", nargs="+", metavar="IN", help="picture files, or folders of them")
    filter_.add_argument("-o", "--output", required=True, metavar="OUT",
                         help="a file; for several pictures, or with a slash at its end, a folder")
    add_kernel(filter_)
    filter_.add_argument("--repeat", type=int, default=1, metavar="N", help="filter N times, rounding only at the end")
    filter_.add_argument("--force", action="store_true", help="overwrite files that exist")
    filter_.set_defaults(run=_filter)

    gallery = commands.add_parser("gallery", help="every named kernel's effect on one labelled sheet")
    gallery.add_argument("picture", metavar="IN")
    gallery.add_argument("-o", "--output", required=True, metavar="OUT")
    gallery.add_argument("--force", action="store_true", help="overwrite OUT if it exists")
    gallery.set_defaults(run=_gallery)

    animate = commands.add_parser("animate", help="a GIF of the kernel sliding over a small version of the picture")
    animate.add_argument("picture", metavar="IN")
    animate.add_argument("-o", "--output", required=True, metavar="OUT.gif")
    add_kernel(animate)
    animate.add_argument("--cells", type=int, default=8, metavar="N",
                         help="pixels of the small version's longer side (default: %(default)s)")
    animate.add_argument("--force", action="store_true", help="overwrite OUT.gif if it exists")
    animate.set_defaults(run=_animate)

    plan = commands.add_parser("explain", help="how a filter would be computed, without computing it")
    plan.add_argument("picture", metavar="IN")
    add_kernel(plan)
    plan.set_defaults(run=_explain)

    listing = commands.add_parser("kernels", help="list the named kernels with their numbers")
    listing.add_argument("names", nargs="*", metavar="NAME[:SIZE[,PARAM]]")
    listing.set_defaults(run=_kernels)

    vendor = commands.add_parser(
        "vendor", help="copy cconv's C core, or all of cconv, into another project",
        epilog="example: cconv vendor src/cconv --prefix mylib_ (see docs/embedding.md)",
    )
    vendor.add_argument("dest", metavar="DEST", help="a folder of its own")
    vendor.add_argument("--prefix", default="", metavar="mylib_", help="goes in front of every C symbol, so that copies do not meet")
    vendor.add_argument("--python-package", default="", metavar="NAME", help="copy the whole package as DEST/NAME, to be imported privately")
    vendor.add_argument("--check", action="store_true", help="write nothing; say whether the copy is intact and current")
    vendor.add_argument("--force", action="store_true", help="overwrite a copy that was changed, or write beside other files")
    vendor.set_defaults(run=_vendor)

    info = commands.add_parser("info", help="version, CPU, compiler, workers")
    info.set_defaults(run=_info)
    return parser


def filter_pixels(
    pixels: np.ndarray, kernel: np.ndarray, repeat: int, flipped: bool, options: dict[str, Any]
) -> np.ndarray:
    """A picture filtered `repeat` times, in its own dtype; alpha goes along as it is."""
    operate = images.convolve if flipped else images.correlate
    result, alpha = photo.split_alpha(pixels)
    for turn in range(repeat):
        now = dict(options)
        if now["padding_mode"] == "resize":
            way = (kernel.shape, now["stride"], now["padding"], now["dilation"])
            result = photo.zoomed(result, *way)
            alpha = None if alpha is None else photo.zoomed(alpha, *way)
            now.update(padding=0, padding_mode="zeros")
        last = turn == repeat - 1
        result = operate(result, kernel, dtype=pixels.dtype if last else None, **now)
        if alpha is not None:
            alpha = _at_centres(alpha, kernel.shape, result.shape, now)
    return photo.join_alpha(result, alpha)


def _at_centres(
    alpha: np.ndarray, kernel: tuple[int, ...], shape: tuple[int, ...], options: dict[str, Any]
) -> np.ndarray:
    """Of each position of the kernel the alpha at the pixel that it stands for, the border's at its edge.

    That pixel lies as far into the window as "same" pads before: an even kernel has no middle.
    """
    stride, dilation = (geometry.per_axis(name, options[name], 2) for name in ("stride", "dilation"))
    pads = geometry.resolve_padding(options["padding"], alpha.shape, kernel, stride, dilation)
    places = []
    for n, k, (before, _), s, d, size in zip(alpha.shape, kernel, pads, stride, dilation, shape[:2], strict=True):
        reach = d * (k - 1)
        centre = reach - reach // 2 if options["padding"] == "same_lower" else reach // 2
        places.append(np.clip(np.arange(size) * s + centre - before, 0, n - 1))
    return alpha[np.ix_(*places)]


def _filter(args: argparse.Namespace) -> int:
    kernel, options = convolution(args)
    if args.repeat < 1:
        raise Usage(f"--repeat {args.repeat}: want an integer of at least 1")
    jobs = _jobs(args.pictures, args.output)
    for _, target in jobs:
        _may_write(target, args.force)
    failed = 0
    for done, (source, target) in enumerate(jobs):
        _progress(f"{done + 1}/{len(jobs)} {source.name}", len(jobs))
        try:
            photo.writable_format(target)
            pixels, extras = photo.load(source)
            if pixels.dtype in (np.int32, np.float32) and not photo.keeps_numbers(target):
                raise ValueError(f"{target} cannot hold the {pixels.dtype} pixels of {source}: save it as .tiff")
            result = filter_pixels(pixels, kernel, args.repeat, args.flipped, options)
            photo.save(_with_parents(target), result, extras)
        except (OSError, ValueError, OverflowError, MemoryError) as error:
            if len(jobs) == 1:
                raise
            _progress("", len(jobs))
            line = _one_line(error)
            named = any(str(path) in line for path in (source, target))
            print("cconv filter: " + (line if named else f"{source}: {line}"), file=sys.stderr)
            failed += 1
    _progress("", len(jobs))
    if failed:
        print(f"cconv filter: {failed} of {len(jobs)} pictures failed", file=sys.stderr)
    return 1 if failed else 0


def _jobs(pictures: Sequence[str], out: str) -> list[tuple[Path, Path]]:
    """(input, output) of every picture: a file for one, a folder for several."""
    output, slash = Path(out), out.endswith(("/", os.sep))
    sources: list[Path] = []
    for name in pictures:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir()
                            if not p.name.startswith(".") and photo.is_picture_name(p) and p.is_file())
            if not inside:
                raise FileNotFoundError(f"{path} holds no picture files")
            sources += inside
        else:
            sources.append(path)
    single = len(sources) == 1 and not Path(pictures[0]).is_dir()
    if single and not output.is_dir() and not slash:
        return [(sources[0], output)]
    if output.exists() and not output.is_dir() or not output.exists() and photo.is_picture_name(output) and not slash:
        raise Usage(f"-o {output} is one file for {len(sources)} pictures; want a folder")
    jobs = [(source, output / source.name) for source in sources]
    seen: dict[Path, Path] = {}
    for source, target in jobs:
        if target in seen:
            raise Usage(f"{seen[target]} and {source} would both become {target}")
        seen[target] = source
    return jobs


def _may_write(target: Path, force: bool) -> None:
    """Before anything is computed; nothing is made yet."""
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file")
    if target.exists() and not force:
        raise FileExistsError(f"{target} exists; pass --force to overwrite it")
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise NotADirectoryError(f"{target} cannot be written: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{target} cannot be written: no right to write in {folder}")


def _with_parents(target: Path) -> Path:
    """Called when there is something to write: a failure before that leaves no new folders."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _sheet(args: argparse.Namespace) -> Path:
    """Where a command that writes one sheet may write it."""
    target = Path(args.output)
    photo.writable_format(target)
    _may_write(target, args.force)
    return target


def _progress(text: str, total: int) -> None:
    """One line on a terminal, rewritten in place; nothing elsewhere."""
    if total > 1 and sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _demo(args: argparse.Namespace) -> None:
    from . import lecture, show

    target = _sheet(args)
    picture = photo.sample_picture() if args.picture is None else photo.read_picture(args.picture)
    experiments = lecture.run(photo.to_display(picture))
    sheet = show.contact_sheet([(e.name, e.picture) for e in experiments if e.picture is not None])
    photo.write_picture(_with_parents(target), sheet)
    print(lecture.table(experiments))
    print(f"\nThe pictures are in {target}.")


def _gallery(args: argparse.Namespace) -> None:
    from . import show

    target = _sheet(args)
    sheet = show.gallery(photo.to_display(photo.read_picture(args.picture)))
    photo.write_picture(_with_parents(target), sheet)


def _animate(args: argparse.Namespace) -> None:
    from . import show

    kernel, options = convolution(args)
    if Path(args.output).suffix.lower() != ".gif":
        raise Usage(f"-o {args.output}: want a name that ends in .gif")
    target = _sheet(args)
    picture = show.small_picture(photo.to_display(photo.read_picture(args.picture)), args.cells)
    scene = show.Scene(picture, kernel, flipped=args.flipped, **options)
    print(f"{target}: {scene.save(_with_parents(target))} frames")


def _explain(args: argparse.Namespace) -> None:
    kernel, options = convolution(args)
    pixels = photo.split_alpha(photo.read_picture(args.picture))[0]
    if options["padding_mode"] == "resize":
        raise Usage("--padding-mode resize zooms the picture first; explain the filter of what comes out")
    print(explain(images.convolve if args.flipped else images.correlate, pixels, kernel, dtype=pixels.dtype, **options))


def _kernels(args: argparse.Namespace) -> None:
    for spec in args.names or kernels.NAMED:
        kernel = parse_kernel(spec)
        doc = (kernels.NAMED[spec.partition(":")[0]].__doc__ or "").split("\n\n")[0]
        print(f"{spec}  {kernel.shape[0]}x{kernel.shape[1]}, sum {kernel.sum():.4g}\n    {' '.join(doc.split())}")
        words = [[f"{v:.4g}" for v in row + 0.0] for row in kernel]
        width = max(len(word) for row in words for word in row)
        print("\n".join("      " + " ".join(word.rjust(width) for word in row) for row in words) + "\n")


def _vendor(args: argparse.Namespace) -> int:
    from . import vendor

    if args.check:
        copy, changed, current = vendor.check(Path(args.dest, args.python_package))
        what = f"{args.dest}: cconv {copy.version}" + (f", prefix {copy.prefix}" if copy.prefix else "")
        print("\n".join([f"{what}, {'changed' if changed else 'intact'}, {'current' if current else f'not what cconv {__version__} would copy'}",
                         *(f"  {line}" for line in changed)]))
        return 0 if current and not changed else 1
    lines = vendor.vendor(args.dest, args.prefix, args.python_package, args.force)
    print(f"cconv {__version__} is in {Path(args.dest, args.python_package)}; {vendor.RECORD} there says what was copied.  In setup.py:\n")
    print("\n".join(f"    {line}" for line in lines))
    return 0


def _info(args: argparse.Namespace) -> None:
    import platform

    rows = {
        "cconv": __version__ + (" (checked build)" if loop.CHECKED else ""),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "CPU": f"{_cpu()}, {platform.machine()}",
        "compiler": loop.COMPILER,
        "kernels": ", ".join(engine.instruction_sets()),
        "workers": workers.get_workers(),
    }
    for name, value in rows.items():
        print(f"{name:9} {value}")


def _cpu() -> str:
    import platform

    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
