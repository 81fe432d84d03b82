package edgesr.demo

import android.graphics.Bitmap
import android.util.Log
import edgesr.core.Bicubic
import edgesr.core.Canvas
import edgesr.core.Region
import java.io.IOException

/** What of a picture is on the screen, and how fine: a square of [step] SR pixels is one pixel fetched. */
data class Sight(
    val region: Region,
    val step: Int,
    /** SR rows that were done when it was looked at, as far as they can be seen. */
    val rows: Int,
)

/** The pixels of a [sight]. [after] ends where the rows that are done end; null where none is seen. */
class Detail private constructor(
    val sight: Sight,
    val before: Bitmap,
    val after: Bitmap?,
) {
    companion object {
        /** Takes tenths of a second. Null where there is nothing to fetch, or nothing to fetch it into. */
        fun of(
            photo: Photo,
            canvas: Canvas?,
            scale: Int,
            sight: Sight,
        ): Detail? {
            val (region, step) = sight.region to sight.step
            val width = (region.right - region.left) / step
            val height = (region.bottom - region.top) / step
            val there = (sight.rows - region.top) / step
            if (width == 0 || height == 0) return null
            try {
                val argb = IntArray(width * height)
                Bicubic(photo, scale).read(region.left, region.top, width, height, step, argb)
                val before = bitmap(argb, width, height)
                if (canvas == null || there <= 0) return Detail(sight, before, null)
                canvas.readReduced(region.left, region.top, width, there, step, argb)
                return Detail(sight, before, bitmap(argb, width, there))
            } catch (error: IOException) {
                Log.w(TAG, "the enlargement was closed meanwhile", error)
            } catch (error: OutOfMemoryError) {
                Log.w(TAG, "no memory for details; the overview stays", error)
            }
            return null
        }

        private fun bitmap(
            argb: IntArray,
            width: Int,
            height: Int,
        ) = Bitmap.createBitmap(argb, width, height, Bitmap.Config.ARGB_8888)

        private const val TAG = "edgesr"
    }
}
