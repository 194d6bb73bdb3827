"""The command `cconv`: pictures filtered, shown and explained from a terminal.

Errors are one line on stderr; exit status 2 for a command that cannot be meant, 1 for one that
failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import __version__, geometry, images, kernels, loop, photo, workers


class Usage(Exception):
    """A command line that cannot be meant."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see '{self.prog} --help')\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
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
    demo.set_defaults(run=_demo, force=True)

    filter_ = commands.add_parser(
        "filter", help="filter pictures with a kernel",
        epilog="example: cconv filter photo.jpg -o soft.png --kernel gaussian:9,1.5 --padding same "
        "--padding-mode edge",
    )
    filter_.add_argument("pictures", nargs="+", metavar="IN", help="picture files, or folders of them")
    filter_.add_argument("-o", "--output", required=True, metavar="OUT",
                         help="a file; for several pictures a folder")
    _add_kernel(filter_)
    filter_.add_argument("--repeat", type=int, default=1, metavar="N", help="filter N times")
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
    _add_kernel(animate)
    animate.add_argument("--cells", type=int, default=8, metavar="N",
                         help="pixels of the small version's longer side (default: %(default)s)")
    animate.add_argument("--force", action="store_true", help="overwrite OUT.gif if it exists")
    animate.set_defaults(run=_animate)

    listing = commands.add_parser("kernels", help="list the named kernels with their numbers")
    listing.add_argument("names", nargs="*", metavar="NAME[:SIZE[,PARAM]]")
    listing.set_defaults(run=_kernels)

    info = commands.add_parser("info", help="version, CPU, compiler, workers")
    info.set_defaults(run=_info)
    return parser


def _add_kernel(parser: argparse.ArgumentParser) -> None:
    """The options of a convolution, one wording for every command that computes one."""
    kernel = parser.add_mutually_exclusive_group(required=True)
    kernel.add_argument("--kernel", metavar="NAME[:SIZE[,PARAM]]", help="a named kernel: see 'cconv kernels'")
    kernel.add_argument("--matrix", metavar='"0 -1 0; -1 5 -1; 0 -1 0"', help="taps row by row; 1/9 is a number")
    parser.add_argument("--stride", default="1", metavar="N[,N]", help="rows, columns (default: 1)")
    parser.add_argument("--padding", default="0", metavar="N|ROWS,COLUMNS|TOP,BOTTOM,LEFT,RIGHT|WORD",
                        help=f"pixels, or {', '.join(geometry.PADDING_WORDS)} (default: 0)")
    parser.add_argument("--padding-mode", default="zeros", metavar="MODE",
                        help=f"{', '.join(loop.BORDERS)} or resize (default: zeros)")
    parser.add_argument("--padding-value", type=float, default=0.0, metavar="V", help="what constant means")
    parser.add_argument("--dilation", default="1", metavar="N[,N]", help="rows, columns (default: 1)")
    parser.add_argument("--normalize", choices=("size", "sum"),
                        help="divide by the number of taps, or by their sum")
    parser.add_argument("--bias", type=float, default=0.0, metavar="B", help="added to every pixel")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--correlate", dest="flipped", action="store_false", default=False,
                     help="the kernel as it is written (default)")
    way.add_argument("--convolve", dest="flipped", action="store_true", help="the kernel flipped along both axes")


def parse_kernel(spec: str) -> np.ndarray:
    """The kernel that NAME[:SIZE[,PARAM]] names."""
    import inspect

    name, _, rest = spec.partition(":")
    _word("--kernel", name, kernels.NAMED)
    function = kernels.NAMED[name]
    takes = list(inspect.signature(function).parameters)
    try:
        numbers = [_number(word) for word in rest.split(",")] if rest else []
        if len(numbers) > len(takes):
            raise ValueError(f"{name} takes {' and '.join(takes) or 'no number'}; got {len(numbers)} numbers")
        return function(*numbers)
    except (ValueError, TypeError, OverflowError) as error:
        raise Usage(f"--kernel {spec}: {_one_line(error)}") from None


def parse_matrix(text: str) -> np.ndarray:
    """A kernel written out: rows parted by semicolons, taps by blanks or commas."""
    rows = [[_number(word) for word in row.replace(",", " ").split()] for row in text.split(";") if row.strip()]
    if not rows or len({len(row) for row in rows}) != 1:
        lengths = ", ".join(str(len(row)) for row in rows) or "none"
        raise Usage(f"--matrix {text!r} has rows of {lengths} taps; want rows of the same length, like '1 2; 3 4'")
    return np.array(rows)


def _number(word: str) -> int | float:
    try:
        value = Fraction(word.strip())
        return int(value) if value.denominator == 1 else float(value)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise Usage(f"{word.strip()!r} is not a number; want one like 3, -0.5 or 1/9") from None


def _word(option: str, word: str, known: Iterable[str]) -> None:
    try:
        geometry.one_of(option, word, known)
    except ValueError as error:
        raise Usage(error) from None


def _integers(option: str, text: str, counts: tuple[int, ...]) -> Any:
    words = text.split(",")
    if len(words) not in counts or not all(w.strip().isdecimal() for w in words):
        raise Usage(f"{option} {text}: want {' or '.join(map(str, counts))} integers, parted by commas")
    return [int(w) for w in words] if len(words) > 1 else int(text)


def _convolution(args: argparse.Namespace) -> tuple[np.ndarray, dict[str, Any]]:
    """The kernel and the keyword arguments that the options of `_add_kernel` mean."""
    kernel = parse_kernel(args.kernel) if args.kernel is not None else parse_matrix(args.matrix)
    padding: Any = args.padding
    if padding[:1].isdigit():
        padding = _integers("--padding", padding, (1, 2, 4))
        if isinstance(padding, list) and len(padding) == 4:
            padding = [padding[:2], padding[2:]]
    else:
        _word("--padding", padding, geometry.PADDING_WORDS)
    _word("--padding-mode", args.padding_mode, (*loop.BORDERS, "resize"))
    mode = "constant" if args.padding_value and args.padding_mode == "zeros" else args.padding_mode
    return kernel, {
        "stride": _integers("--stride", args.stride, (1, 2)),
        "padding": padding,
        "dilation": _integers("--dilation", args.dilation, (1, 2)),
        "padding_mode": mode,
        "padding_value": args.padding_value,
        "normalize": args.normalize or False,
        "bias": args.bias,
    }


def filter_pixels(
    pixels: np.ndarray, kernel: np.ndarray, repeat: int, flipped: bool, options: dict[str, Any]
) -> np.ndarray:
    """A picture filtered `repeat` times, in its own dtype; alpha goes along as it is."""
    operate = images.convolve if flipped else images.correlate
    colours, alpha = photo.split_alpha(pixels)
    result = colours
    centre = np.zeros(kernel.shape)
    centre[tuple(k // 2 for k in kernel.shape)] = 1
    for turn in range(repeat):
        now = dict(options)
        if now["padding_mode"] == "resize":
            pads = geometry.resolve_padding(now["padding"], result.shape[:2], kernel.shape,
                                            *(geometry.per_axis(n, now[n], 2) for n in ("stride", "dilation")))
            axis = 2 if result.ndim == 3 else None
            result = images.pad(result, pads, "resize", channel_axis=axis)
            alpha = None if alpha is None else images.pad(alpha, pads, "resize")
            now.update(padding=0, padding_mode="zeros")
        last = turn == repeat - 1
        result = operate(result, kernel, dtype=pixels.dtype if last else None, **now)
        if alpha is not None:
            now.update(padding_mode="edge", padding_value=0.0, normalize=False, bias=0.0)
            alpha = images.correlate(alpha, centre, dtype=alpha.dtype, **now)
    return photo.join_alpha(result, alpha)


def _filter(args: argparse.Namespace) -> int:
    kernel, options = _convolution(args)
    if args.repeat < 1:
        raise Usage(f"--repeat {args.repeat}: want an integer of at least 1")
    jobs = _jobs(args.pictures, Path(args.output))
    for _, target in jobs:
        _may_write(target, args.force)
    failed = 0
    for done, (source, target) in enumerate(jobs):
        _progress(f"{done + 1}/{len(jobs)} {source.name}", len(jobs))
        try:
            pixels = photo.read_picture(source)
            if pixels.dtype in (np.int32, np.float32) and not photo.keeps_numbers(target):
                raise ValueError(f"{target} cannot hold the {pixels.dtype} pixels of {source}: save it as .tiff")
            result = filter_pixels(pixels, kernel, args.repeat, args.flipped, options)
            target.parent.mkdir(parents=True, exist_ok=True)
            photo.write_picture(target, result)
        except (OSError, ValueError, OverflowError, MemoryError) as error:
            if len(jobs) == 1:
                raise
            _progress("", len(jobs))
            print(f"cconv filter: {source}: {_one_line(error)}", file=sys.stderr)
            failed += 1
    _progress("", len(jobs))
    if failed:
        print(f"cconv filter: {failed} of {len(jobs)} pictures failed", file=sys.stderr)
    return 1 if failed else 0


def _jobs(pictures: Sequence[str], output: Path) -> list[tuple[Path, Path]]:
    """(input, output) of every picture: a file for one, a folder for several."""
    sources: list[Path] = []
    for name in pictures:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and photo.is_picture_name(p))
            if not inside:
                raise FileNotFoundError(f"{path} holds no picture files")
            sources += inside
        else:
            sources.append(path)
    single = len(sources) == 1 and not Path(pictures[0]).is_dir()
    if single and not output.is_dir():
        return [(sources[0], output)]
    if output.exists() and not output.is_dir() or not output.exists() and photo.is_picture_name(output):
        raise Usage(f"-o {output} is one file for {len(sources)} pictures; want a folder")
    jobs = [(source, output / source.name) for source in sources]
    seen: dict[Path, Path] = {}
    for source, target in jobs:
        if target in seen:
            raise Usage(f"{seen[target]} and {source} would both become {target}")
        seen[target] = source
    return jobs


def _may_write(target: Path, force: bool) -> None:
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file")
    if target.exists() and not force:
        raise FileExistsError(f"{target} exists; pass --force to overwrite it")


def _progress(text: str, total: int) -> None:
    """One line on a terminal, rewritten in place; nothing elsewhere."""
    if total > 1 and sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _demo(args: argparse.Namespace) -> None:
    from . import lecture, show

    picture = photo.sample_picture() if args.picture is None else photo.read_picture(args.picture)
    experiments = lecture.run(picture)
    print(lecture.table(experiments))
    tiles = [(e.name, e.picture) for e in experiments if e.picture is not None]
    photo.write_picture(args.output, show.contact_sheet(tiles))
    print(f"\nThe pictures are in {args.output}.")


def _gallery(args: argparse.Namespace) -> None:
    from . import show

    _may_write(Path(args.output), args.force)
    photo.write_picture(args.output, show.gallery(photo.read_picture(args.picture)))


def _animate(args: argparse.Namespace) -> None:
    from . import show

    kernel, options = _convolution(args)
    if Path(args.output).suffix.lower() != ".gif":
        raise Usage(f"-o {args.output}: want a name that ends in .gif")
    _may_write(Path(args.output), args.force)
    picture = photo.read_picture(args.picture)
    frames = show.animate(picture, kernel, args.output, flipped=args.flipped, cells=args.cells, **options)
    print(f"{args.output}: {frames} frames")


def _kernels(args: argparse.Namespace) -> None:
    for spec in args.names or kernels.NAMED:
        kernel = parse_kernel(spec)
        doc = (kernels.NAMED[spec.partition(":")[0]].__doc__ or "").split("\n\n")[0]
        print(f"{spec}  {kernel.shape[0]}x{kernel.shape[1]}, sum {kernel.sum():.4g}\n    {' '.join(doc.split())}")
        words = [[f"{v:.4g}" for v in row + 0.0] for row in kernel]
        width = max(len(word) for row in words for word in row)
        print("\n".join("      " + " ".join(word.rjust(width) for word in row) for row in words) + "\n")


def _info(args: argparse.Namespace) -> None:
    import platform

    rows = {
        "cconv": __version__ + (" (checked build)" if loop.CHECKED else ""),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "CPU": f"{_cpu()}, {platform.machine()}",
        "compiler": loop.COMPILER,
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
