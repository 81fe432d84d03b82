package edgesr.demo

import android.graphics.Bitmap
import edgesr.core.Canvas
import edgesr.core.MemoryBudget

/** The enlargement reduced to a bitmap that is at hand at once, made as its rows arrive. */
class Overview(
    private val canvas: Canvas,
) {
    val step = MemoryBudget.overviewStep(canvas.width.toLong(), canvas.height.toLong())
    val bitmap: Bitmap =
        Bitmap.createBitmap(
            maxOf(1, canvas.width / step),
            maxOf(1, canvas.height / step),
            Bitmap.Config.ARGB_8888,
        )

    private var rows = 0

    /** Add the rows that the canvas has got meanwhile; [cancelled] is asked now and then. */
    fun follow(cancelled: () -> Boolean = { false }) {
        val width = minOf(bitmap.width, canvas.width / step)
        val end = minOf(bitmap.height, canvas.rowsDone / step)
        val pixels = IntArray(bitmap.width * STRIP)
        while (rows < end && !cancelled()) {
            val count = minOf(STRIP, end - rows)
            canvas.readReduced(0, rows * step, width, count, step, pixels)
            bitmap.setPixels(pixels, 0, width, 0, rows, width, count)
            rows += count
        }
    }

    private companion object {
        const val STRIP = 16
    }
}
