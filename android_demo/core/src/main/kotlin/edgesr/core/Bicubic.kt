package edgesr.core

/**
 * What the enlargement is compared with: bicubic of the same size, as MATLAB's imresize and
 * `edgesr/resize.py` do it.
 *
 * R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29(6), 1981,
 * a = -1/2.
 */
class Bicubic(
    private val picture: Picture,
    private val scale: Int,
) {
    /**
     * The enlargement reduced by [step]: [width] x [height] pixels, each for a square of [step], the
     * first at SR ([x], [y]).
     *
     * A square is sampled about once for each LR pixel in it, and once at least; the samples' mean is
     * taken.
     */
    fun read(
        x: Int,
        y: Int,
        width: Int,
        height: Int,
        step: Int,
        into: IntArray,
    ) {
        val samples = maxOf(1, step / scale)
        val columns = Taps(x, width * samples, step.toDouble() / samples, scale, picture.width)
        val strip = maxOf(1, STRIP * scale / step)
        for (from in 0 until height step strip) {
            val count = minOf(strip, height - from)
            val rows =
                Taps(y + from * step, count * samples, step.toDouble() / samples, scale, picture.height)
            strip(columns, rows, samples, into, from * width)
        }
    }

    /** As many rows as [rows] says, into [into] from index [at] on. */
    private fun strip(
        columns: Taps,
        rows: Taps,
        samples: Int,
        into: IntArray,
        at: Int,
    ) {
        val wide = alongRows(columns, rows)
        val (width, height) = columns.count / samples to rows.count / samples
        val sums = FloatArray(3)
        for (index in 0 until width * height) {
            sums.fill(0f)
            for (sample in 0 until samples * samples) {
                val row = index / width * samples + sample / samples
                add(wide, rows, row, index % width * samples + sample % samples, columns.count, sums)
            }
            val share = 1f / (samples * samples)
            into[at + index] =
                Pixels.pack(rounded(sums[0] * share), rounded(sums[1] * share), rounded(sums[2] * share))
        }
    }

    /** Rows of the LR picture, as many as [rows] looks at, enlarged in width: three levels a pixel. */
    private fun alongRows(
        columns: Taps,
        rows: Taps,
    ): FloatArray {
        val lr = IntArray(columns.length * rows.length)
        picture.read(columns.first, rows.first, columns.length, rows.length, lr)
        val wide = FloatArray(3 * columns.count * rows.length)
        for (row in 0 until rows.length) {
            for (tap in 0 until TAPS * columns.count) {
                val weight = columns.weights[tap]
                val pixel = lr[row * columns.length + columns.indices[tap] - columns.first]
                val target = 3 * (row * columns.count + tap / TAPS)
                wide[target] += weight * Pixels.red(pixel)
                wide[target + 1] += weight * Pixels.green(pixel)
                wide[target + 2] += weight * Pixels.blue(pixel)
            }
        }
        return wide
    }

    /** Add one sample's levels, clamped as a picture's are, to [sums]. */
    private fun add(
        wide: FloatArray,
        rows: Taps,
        row: Int,
        column: Int,
        width: Int,
        sums: FloatArray,
    ) {
        for (colour in 0 until 3) {
            var level = 0f
            for (tap in TAPS * row until TAPS * row + TAPS) {
                level +=
                    rows.weights[tap] *
                    wide[3 * ((rows.indices[tap] - rows.first) * width + column) + colour]
            }
            sums[colour] += level.coerceIn(0f, 255f)
        }
    }

    private fun rounded(level: Float) = (level + 0.5f).toInt()

    /**
     * For each of [count] samples along one dimension, [spacing] SR pixels apart: four LR pixels and
     * their weights.
     */
    private class Taps(
        from: Int,
        val count: Int,
        spacing: Double,
        scale: Int,
        size: Int,
    ) {
        val indices = IntArray(TAPS * count)
        val weights = FloatArray(TAPS * count)
        val first: Int

        /** From the first LR pixel to the last one. */
        val length: Int

        init {
            for (sample in 0 until count) {
                val centre = (from + (sample + 0.5) * spacing) / scale - 0.5
                for (tap in 0 until TAPS) {
                    val position = Math.floor(centre).toInt() - 1 + tap
                    indices[TAPS * sample + tap] = mirrored(position, size)
                    weights[TAPS * sample + tap] = cubic(Math.abs(centre - position)).toFloat()
                }
            }
            first = indices.min()
            length = indices.max() - first + 1
        }

        private fun cubic(distance: Double): Double =
            when {
                distance <= 1 -> (1.5 * distance - 2.5) * distance * distance + 1
                distance <= 2 -> ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
                else -> 0.0
            }
    }

    private companion object {
        const val TAPS = 4

        /** LR rows looked at together, about: a picture of many megapixels is not copied whole. */
        const val STRIP = 64
    }
}
