package edgesr.core

/**
 * One window along one dimension, in LR pixels. It sees `tile` pixels from [start] and keeps [keepFrom]
 * ≤ x < [keepTo].
 */
data class Span(
    val start: Int,
    val keepFrom: Int,
    val keepTo: Int,
)

/**
 * The windows of [tile] pixels that cover [length] pixels, from first to last.
 *
 * The same plan as `edgesr/tiling.py`: both are held to `tests/golden/tiles.json`. Every pixel is kept
 * from exactly one window and has at least [overlap] pixels of context there, except towards an edge of
 * the image. Starts are multiples of [multiple]. Windows lie inside the image padded at its end to
 * [paddedLength]; the last ends where that ends.
 *
 * @throws IllegalArgumentException for a tile that is too small for its overlap or not a multiple.
 */
fun plan(
    length: Int,
    tile: Int,
    overlap: Int,
    multiple: Int = 1,
): List<Span> {
    require(length >= 1 && overlap >= 0 && multiple >= 1) {
        "cannot tile $length pixels by $overlap, $multiple"
    }
    require(
        tile >= 1 && tile % multiple == 0,
    ) { "a tile of $tile pixels is not a multiple of $multiple" }
    require(tile >= 2 * overlap + multiple) {
        "a tile of $tile pixels is too small for an overlap of $overlap"
    }
    val last = paddedLength(length, tile, multiple) - tile
    val step = (tile - 2 * overlap) / multiple * multiple
    val starts = (0 until last step step) + last
    // Neighbours meet in the middle of what both see, which leaves each side at least `overlap`.
    val cuts = starts.zipWithNext { left, right -> (left + tile + right) / 2 }
    val edges = listOf(0) + cuts + length
    return starts.mapIndexed { index, start -> Span(start, edges[index], edges[index + 1]) }
}

/** The length to pad to before planning: a multiple of [multiple], and one tile at least. */
fun paddedLength(
    length: Int,
    tile: Int,
    multiple: Int = 1,
): Int = maxOf(tile, (length + multiple - 1) / multiple * multiple)

/**
 * Which of [length] pixels stands at [x] when they are continued by their mirror image: 0 1 2 2 1 0 0 1
 * …
 */
fun mirrored(
    x: Int,
    length: Int,
): Int {
    val turn = Math.floorMod(x, 2 * length)
    return minOf(turn, 2 * length - 1 - turn)
}
