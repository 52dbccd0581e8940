"""Eight bytes of text at a time."""

from __future__ import annotations

from grouper.kernels.jit import intrinsic


def _loaded(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    from llvmlite import ir

    array = context.make_array(signature.args[0])(context, builder, value=arguments[0])
    word = ir.IntType(64)
    place = builder.gep(array.data, [arguments[1]])
    return builder.load(builder.bitcast(place, word.as_pointer()), align=1, typ=word)


@intrinsic
def load_word(typing, text, at):  # type: ignore[no-untyped-def]  # numba's own protocol
    """Eight bytes of the text from `at` as a little-endian word, wherever they begin."""
    from numba import types

    return types.uint64(text, types.int64), _loaded


@intrinsic
def load_reversed(typing, text, at):  # type: ignore[no-untyped-def]  # numba's own protocol
    """Eight bytes of the text from `at` as a big-endian word, wherever they begin."""
    from numba import types

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bswap(_loaded(context, builder, signature, arguments))

    return types.uint64(text, types.int64), generate
