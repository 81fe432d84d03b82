package edgesr.core

/** The person asked for an end. What was written until then is whole bands, and can be continued. */
class Cancelled : Exception("cancelled")

/** Takes the enlargement band by band, from top to bottom. */
fun interface BandSink {
    /**
     * [rows] whole rows of SR from row [y] on, in the head of [argb], which is reused after the call.
     */
    fun write(
        y: Int,
        rows: Int,
        argb: IntArray,
    )
}

/** Hears of an enlargement while it runs, on its thread. */
interface Listener {
    /** Asked before each tile. */
    fun cancelled(): Boolean = false

    /** Tile [done] of [total] took [milliseconds]. */
    fun onTile(
        done: Int,
        total: Int,
        milliseconds: Double,
    ) = Unit
}

/**
 * A picture of any size through an [engine] of one size, without seams: `edgesr.tiling.upscale_tiled` on
 * a phone.
 *
 * The enlargement never is in memory as a whole: of 4000 x 3000 pixels at x4 it would be 768 MB.
 */
class Upscaler(
    private val engine: Engine,
    private val card: ModelCard,
) {
    private val scale = card.scale
    private val lr = FloatArray(card.inputSize)
    private val sr = FloatArray(card.outputSize)
    private var window = IntArray(card.tileHeight * card.tileWidth)

    /**
     * Write the enlargement of [picture] to [sink].
     *
     * @param rowsDone SR rows that the sink has already, from an earlier run; they must end with a band.
     * @throws Cancelled within one tile after the listener says so.
     * @throws BadModel from the engine.
     */
    fun run(
        picture: Picture,
        sink: BandSink,
        listener: Listener = object : Listener {},
        rowsDone: Int = 0,
    ) {
        val rows = plan(picture.height, card.tileHeight, card.overlap, card.multiple)
        val columns = plan(picture.width, card.tileWidth, card.overlap, card.multiple)
        val first = rows.indexOfFirst { scale * it.keepFrom == rowsDone }
        if (first < 0) {
            require(rowsDone == scale * picture.height) { "$rowsDone rows do not end with a band" }
            return
        }
        val total = rows.size * columns.size
        val band = IntArray(scale * picture.width * scale * rows.maxOf { it.keepTo - it.keepFrom })
        var done = first * columns.size
        for (row in rows.drop(first)) {
            for (column in columns) {
                if (listener.cancelled()) throw Cancelled()
                val begin = System.nanoTime()
                read(picture, row, column)
                compute()
                keep(row, column, band, scale * picture.width)
                done += 1
                listener.onTile(done, total, (System.nanoTime() - begin) / 1e6)
            }
            sink.write(scale * row.keepFrom, scale * (row.keepTo - row.keepFrom), band)
        }
    }

    /** The window that a tile sees, with the mirror image beyond an edge, into [lr]. */
    private fun read(
        picture: Picture,
        row: Span,
        column: Span,
    ) {
        val ys = IntArray(card.tileHeight) { mirrored(row.start + it, picture.height) }
        val xs = IntArray(card.tileWidth) { mirrored(column.start + it, picture.width) }
        val (top, left) = ys.min() to xs.min()
        val (height, width) = ys.max() - top + 1 to xs.max() - left + 1
        if (window.size < height * width) window = IntArray(height * width)
        picture.read(left, top, width, height, window)
        val plane = card.tileHeight * card.tileWidth
        var index = 0
        for (y in ys) {
            for (x in xs) {
                Pixels.scatter(window[(y - top) * width + x - left], lr, plane, index)
                index += 1
            }
        }
    }

    private fun compute() {
        engine.input.restart()
        engine.input.put(lr)
        engine.run()
        engine.output.restart()
        engine.output.get(sr)
    }

    /** The part of [sr] that the tile keeps, into a band of [bandWidth] pixels a row. */
    private fun keep(
        row: Span,
        column: Span,
        band: IntArray,
        bandWidth: Int,
    ) {
        val tileWidth = scale * card.tileWidth
        val plane = scale * card.tileHeight * tileWidth
        val from = scale * (column.keepFrom - column.start)
        val count = scale * (column.keepTo - column.keepFrom)
        for (y in 0 until scale * (row.keepTo - row.keepFrom)) {
            val source = (scale * (row.keepFrom - row.start) + y) * tileWidth + from
            val target = y * bandWidth + scale * column.keepFrom
            for (x in 0 until count) band[target + x] = Pixels.gather(sr, plane, source + x)
        }
    }
}
