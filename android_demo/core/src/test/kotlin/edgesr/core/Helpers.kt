package edgesr.core

internal fun card(
    scale: Int = 2,
    tileHeight: Int = 12,
    tileWidth: Int = 16,
    overlap: Int = 2,
    multiple: Int = 1,
) = ModelCard("test.pte", "00", "test", scale, "w8a8", tileHeight, tileWidth, overlap, multiple, "1.5.1")

internal fun picture(
    width: Int,
    height: Int,
): ArrayPicture {
    val pixels =
        IntArray(width * height) {
            Pixels.pack(
                it * 7 % 256,
                it / width * 5 % 256,
                it * 31 / 7 % 256,
            )
        }
    return ArrayPicture(width, height, pixels)
}

internal fun Picture.pixels() = IntArray(width * height).also { read(0, 0, width, height, it) }

/**
 * Repeats each pixel; with [fold], first takes its mean with the pixel opposite in the tile, so that
 * places matter.
 */
internal class TestEngine(
    private val card: ModelCard,
    private val fold: Boolean = false,
) : Engine {
    override val input = directFloats(card.inputSize)
    override val output = directFloats(card.outputSize)

    override fun run() {
        val (height, width, scale) = Triple(card.tileHeight, card.tileWidth, card.scale)
        for (index in 0 until card.outputSize) {
            val colour = index / (scale * scale * height * width)
            val y = index / (scale * width) % (scale * height) / scale
            val x = index % (scale * width) / scale
            val here = input.get((colour * height + y) * width + x)
            val there = input.get((colour * height + height - 1 - y) * width + width - 1 - x)
            output.put(index, if (fold) (here + there) / 2 else here)
        }
    }

    override fun close() = Unit
}

/** Keeps what it is given. */
internal class MemorySink(
    val width: Int,
    height: Int,
) : BandSink {
    val pixels = IntArray(width * height)
    val bands = ArrayList<Int>()

    override fun write(
        y: Int,
        rows: Int,
        argb: IntArray,
    ) {
        bands += y
        System.arraycopy(argb, 0, pixels, y * width, rows * width)
    }
}
