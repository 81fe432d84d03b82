package edgesr.core

/** Something with packed ARGB pixels: a decoded photo, or the enlargement of one. */
interface Picture {
    val width: Int
    val height: Int

    /** Copy the pixels of one rectangle, which lies inside, into the head of [into], row after row. */
    fun read(
        x: Int,
        y: Int,
        width: Int,
        height: Int,
        into: IntArray,
    )
}

/** A picture in memory. */
class ArrayPicture(
    override val width: Int,
    override val height: Int,
    private val argb: IntArray,
) : Picture {
    init {
        require(argb.size == width * height) { "${argb.size} pixels are not $width x $height" }
    }

    override fun read(
        x: Int,
        y: Int,
        width: Int,
        height: Int,
        into: IntArray,
    ) {
        for (row in 0 until height) {
            System.arraycopy(argb, (y + row) * this.width + x, into, row * width, width)
        }
    }
}
