package edgesr.core

/** Bytes of the Java heap, of memory outside it, and of storage: what there is, or what is needed. */
data class Bytes(
    val heap: Long,
    val native: Long,
    val storage: Long,
)

/** What enlarging one picture takes, and whether a phone has it. */
object MemoryBudget {
    /** Kept free of each kind, for everything else that the app and the system do meanwhile. */
    val reserve = Bytes(heap = 24L shl 20, native = 64L shl 20, storage = 64L shl 20)

    /** The longest side of the bitmaps that photo and enlargement are drawn from at first. */
    const val OVERVIEW_SIDE = 2048

    /**
     * What a picture of [width] x [height] LR pixels needs with the model of [card], beside [reserve].
     */
    fun need(
        width: Int,
        height: Int,
        card: ModelCard,
    ): Bytes {
        val rows =
            plan(height, card.tileHeight, card.overlap, card.multiple).maxOf {
                it.keepTo -
                    it.keepFrom
            }
        val scale = card.scale.toLong()
        val band = 4 * scale * width * scale * rows
        val rowBytes = 3 * scale * width * scale * rows
        val planes = 4L * (card.inputSize + card.outputSize)
        val drawn = overview(width.toLong(), height.toLong()) + overview(scale * width, scale * height)
        return Bytes(
            heap = band + rowBytes + planes + 4L * card.tileHeight * card.tileWidth,
            native = 4L * width * height + planes + drawn,
            storage = 3 * scale * width * scale * height + Canvas.HEADER,
        )
    }

    /** Bytes of the overview of a picture. */
    private fun overview(
        width: Long,
        height: Long,
    ): Long {
        val step = overviewStep(width, height)
        return 4 * (width / step) * (height / step)
    }

    /** How many pixels a side one overview pixel stands for. */
    fun overviewStep(
        width: Long,
        height: Long,
    ): Int {
        var step = 1
        while (maxOf(width, height) / step > OVERVIEW_SIDE) step *= 2
        return step
    }

    /** What is short, as a sentence for the person; null where [room] suffices for [need]. */
    fun shortage(
        need: Bytes,
        room: Bytes,
    ): String? {
        fun missing(
            kind: String,
            need: Long,
            reserve: Long,
            room: Long,
        ): String? {
            if (need + reserve <= room) return null
            return "%,d MB of %s are needed and %,d MB are free.".format(
                megabytes(need + reserve),
                kind,
                megabytes(room),
            )
        }
        return missing("the app's heap", need.heap, reserve.heap, room.heap)
            ?: missing("memory", need.native, reserve.native, room.native)
            ?: missing("storage", need.storage, reserve.storage, room.storage)
    }

    private fun megabytes(bytes: Long) = (bytes + 999_999) / 1_000_000
}
