import itertools

import numpy as np
import pytest

from heapdyno import style

# What readers with full red or green blindness see of linear RGB (Machado, Oliveira and Fernandes 2009).
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
}


def lab(colour, vision):
    """CIE L*a*b* (D65) of an sRGB colour as that reader sees it."""
    srgb = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISION[vision] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    ratio = xyz / np.array([0.9505, 1, 1.089])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_to_every_reader(vision):
    """By 15 at least, where about 2 is just noticeable. References are grey, but dashed besides."""
    colours = [look.colour for look in style.KNOWN.values() if not look.is_reference]
    colours += style.SPARE_COLOURS
    for a, b in itertools.combinations(colours, 2):
        assert np.linalg.norm(lab(a, vision) - lab(b, vision)) > 15, (a, b)


def test_known_allocators_look_the_same_in_any_company():
    few, many = style.looks(["jemalloc", "zzz"]), style.looks(["arena", "aaa", "glibc", "jemalloc", "null"])
    assert few["jemalloc"] == many["jemalloc"]


def test_no_two_of_a_figure_look_alike():
    looks = style.looks([*style.KNOWN, *(f"lib{i:02}" for i in range(30))])
    assert len({(look.colour, look.marker, look.is_filled) for look in looks.values()}) == len(looks)
    assert len({(look.colour, look.point_type) for look in looks.values()}) == len(looks)


def test_unknown_ones_are_given_colours_by_name():
    assert style.looks(["b", "a"]) == style.looks(["a", "b"])
    assert style.looks(["a", "b"])["a"].colour == style.SPARE_COLOURS[0]


def test_order_is_fixed_with_references_last():
    looks = style.looks(["null", "x", "glibc", "null[A=b]", "arena"])
    assert list(looks) == ["arena", "glibc", "x", "null", "null[A=b]"]


def test_long_names_are_shortened_and_stay_different():
    labels = ["arena", "arena[MALLOC_CONF=tcache:false]",
              "arena[MALLOC_CONF=narenas:1,tcache:false,thp:always]",
              "arena[MALLOC_CONF=narenas:2,tcache:false,thp:always]"]
    names = style.short_names(labels)
    assert list(names.values()) == ["arena", "arena[tcache:false]", "arena[1]", "arena[2]"]
    assert style.explain_names(names)[2] == f"arena[2] = {labels[3]}"
    assert style.short_names(["a[X=1]", "a[Y=1]"]) == {"a[X=1]": "a[X=1]", "a[Y=1]": "a[Y=1]"}
