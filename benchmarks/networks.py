"""The layers of well-known networks beside the same peers as layers.py: `python benchmarks/networks.py [WORD...]`.

Nobody chose these shapes for cconv: they are what MobileNetV2, EfficientNet, ConvNeXt, ViT, ResNet-50, VGG, DenseNet, SqueezeNet, ShuffleNet,
U-Net, SRCNN, YOLO and AlexNet ask for, one picture at a time.  Writes docs/benchmark_networks.md, .json and its picture, unless WORDs choose.
"""

from __future__ import annotations

from layers import Layer, compare


def layer(network: str, c: int, o: int, size: int, k: int, s: int = 1, groups: int = 1, dilation: int = 1, padding: int | None = None) -> Layer:
    """Padded to the same size, with a stride of 1, unless `padding` says otherwise."""
    kind = "depthwise " if groups == c > 1 else ""
    name = f"{network}: {kind}{k}x{k}{f' s{s}' if s > 1 else ''}{f' d{dilation}' if dilation > 1 else ''}, {c} to {o}, {size}"
    return name, "float32", 1, c, o, (size, size), k, s, dilation * (k - 1) // 2 if padding is None else padding, dilation, groups


NETWORKS = [
    *(layer("MobileNetV2", c, o, size, 1) for c, o, size in (
        (32, 16, 112), (16, 96, 112), (96, 24, 56), (24, 144, 56), (144, 24, 56), (144, 32, 28), (32, 192, 28), (192, 32, 28), (192, 64, 14),
        (64, 384, 14), (384, 64, 14), (384, 96, 14), (96, 576, 14), (576, 96, 14), (576, 160, 7), (160, 960, 7), (960, 160, 7), (960, 320, 7),
        (320, 1280, 7))),
    *(layer("MobileNetV2", c, c, size, 3, s, c) for c, size, s in (
        (96, 112, 2), (144, 56, 1), (144, 56, 2), (192, 28, 1), (192, 28, 2), (384, 14, 1), (576, 14, 1), (576, 14, 2), (960, 7, 1))),
    *(layer("EfficientNet", c, c, size, k, s, c) for c, size, k, s in (
        (240, 28, 5, 1), (144, 56, 5, 2), (480, 14, 5, 1), (672, 14, 5, 1), (672, 14, 5, 2), (1152, 7, 5, 1), (240, 28, 3, 2))),
    layer("ConvNeXt", 3, 96, 224, 4, 4, padding=0),
    *(layer("ConvNeXt", c, 2 * c, size, 2, 2, padding=0) for c, size in ((96, 56), (192, 28))),
    *(layer("ConvNeXt", c, c, size, 7, 1, c) for c, size in ((96, 56), (192, 28), (384, 14), (768, 7))),
    *(layer("ViT", 3, o, 224, 16, 16, padding=0) for o in (192, 768)),
    *(layer("ResNet-50", c, o, size, 1, s) for c, o, size, s in (
        (64, 64, 56, 1), (64, 256, 56, 1), (256, 128, 56, 1), (128, 512, 28, 1), (512, 128, 28, 1), (256, 512, 56, 2), (512, 256, 28, 1),
        (256, 1024, 14, 1), (1024, 256, 14, 1), (512, 1024, 28, 2), (1024, 512, 14, 1), (512, 2048, 7, 1), (2048, 512, 7, 1), (1024, 2048, 14, 2))),
    *(layer("ResNet-50", c, c, size, 3, 2) for c, size in ((128, 56), (256, 28), (512, 14))),
    *(layer("VGG", c, o, size, 3) for c, o, size in ((3, 64, 224), (64, 128, 112), (128, 256, 56), (256, 256, 56), (256, 512, 28), (512, 512, 14))),
    *(layer("DenseNet", c, o, size, k) for c, o, size, k in ((512, 128, 28, 1), (128, 32, 28, 3), (256, 128, 14, 1), (1024, 128, 7, 1))),
    *(layer("SqueezeNet", c, o, size, 1) for c, o, size in ((16, 64, 55), (64, 16, 55), (48, 192, 27))),
    *(layer("ShuffleNet", c, c, size, 3, s, c) for c, size, s in ((58, 28, 1), (116, 14, 1), (232, 7, 1), (58, 28, 2))),
    *(layer("U-Net", c, o, size, k) for c, o, size, k in ((64, 64, 128, 3), (128, 64, 128, 3), (32, 32, 256, 3), (1, 64, 256, 3), (64, 2, 256, 1))),
    *(layer("SRCNN", c, o, 128, k) for c, o, k in ((1, 64, 9), (64, 32, 5), (32, 1, 5))),
    *(layer("DeepLab", c, c, size, 3, 1, groups, d) for c, size, groups, d in ((256, 28, 1, 2), (512, 28, 1, 4), (960, 14, 960, 2))),
    *(layer("YOLO", c, o, size, 3, s) for c, o, size, s in ((3, 32, 416, 1), (32, 64, 416, 2), (64, 128, 208, 2), (512, 1024, 26, 2))),
    layer("YOLO", 256, 255, 26, 1),
    layer("AlexNet", 3, 64, 224, 11, 4, padding=2),
    layer("AlexNet", 64, 192, 27, 5),
    layer("AlexNet", 192, 384, 13, 3),
]

if __name__ == "__main__":
    compare(NETWORKS, "benchmark_networks", "Layers of known networks, one thread")
