package edgesr.core

/**
 * 8-bit pixels ↔ the float planes that a network reads and writes: the rules of `edgesr/data/images.py`.
 *
 * Pixels are packed ARGB as Android has them; alpha is ignored on the way in and opaque on the way out.
 * Planes are red, green, blue, one after the other, rows from top to bottom.
 */
object Pixels {
    private val unit = FloatArray(256) { it / 255f } // a division: times 1/255 differs in the last bit

    /** A level of 0..255 as a float in [0,1]. */
    fun unit(level: Int): Float = unit[level]

    /** A float as an 8-bit level: clamped to [0,1], rounded half up. */
    fun level(value: Float): Int = (value.coerceIn(0f, 1f) * 255f + 0.5f).toInt()

    /** Opaque packed pixel of three levels. */
    fun pack(
        red: Int,
        green: Int,
        blue: Int,
    ): Int = (0xFF shl 24) or (red shl 16) or (green shl 8) or blue

    fun red(argb: Int): Int = (argb shr 16) and 0xFF

    fun green(argb: Int): Int = (argb shr 8) and 0xFF

    fun blue(argb: Int): Int = argb and 0xFF

    /** Write packed pixel [argb] at [index] of each of three planes of [plane] values. */
    fun scatter(
        argb: Int,
        planes: FloatArray,
        plane: Int,
        index: Int,
    ) {
        planes[index] = unit[red(argb)]
        planes[plane + index] = unit[green(argb)]
        planes[2 * plane + index] = unit[blue(argb)]
    }

    /** The packed pixel at [index] of three planes of [plane] values. */
    fun gather(
        planes: FloatArray,
        plane: Int,
        index: Int,
    ): Int = pack(level(planes[index]), level(planes[plane + index]), level(planes[2 * plane + index]))
}
