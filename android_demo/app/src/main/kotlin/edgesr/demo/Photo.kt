package edgesr.demo

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import edgesr.core.MemoryBudget
import edgesr.core.Picture
import java.io.File
import java.io.IOException

/** A photo cannot be used; the message says why and is meant for the person. */
class BadPhoto(
    message: String,
    cause: Throwable? = null,
) : Exception(message, cause)

/** A decoded photo: upright, in sRGB, opaque. */
class Photo(
    private val bitmap: Bitmap,
) : Picture {
    /** Photo pixels a side that one pixel of [preview] stands for. */
    val step = MemoryBudget.overviewStep(bitmap.width.toLong(), bitmap.height.toLong())

    /** To draw: Android refuses to draw bitmaps of 100 MB, and large ones are slow. */
    val preview: Bitmap =
        if (step == 1) {
            bitmap
        } else {
            Bitmap.createScaledBitmap(bitmap, reduced(bitmap.width), reduced(bitmap.height), true)
        }

    private fun reduced(side: Int) = maxOf(1, side / step)

    val bytes: Long get() = bitmap.allocationByteCount.toLong()

    override val width: Int get() = bitmap.width
    override val height: Int get() = bitmap.height

    override fun read(
        x: Int,
        y: Int,
        width: Int,
        height: Int,
        into: IntArray,
    ) = bitmap.getPixels(into, 0, width, x, y, width, height)

    companion object {
        /**
         * Decode an image file at its full size, turned by its EXIF orientation.
         *
         * @param refusal what to say of a photo of this width and height, null if it is welcome; asked
         *   before any memory is taken.
         * @throws BadPhoto with that refusal, or where the file is no image.
         */
        fun decode(
            file: File,
            refusal: (Int, Int) -> String?,
        ): Photo {
            try {
                val bitmap =
                    ImageDecoder.decodeBitmap(ImageDecoder.createSource(file)) { decoder, info, _ ->
                        refusal(info.size.width, info.size.height)?.let { throw Refused(it) }
                        decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE // pixels are read from it
                        decoder.setTargetColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
                    }
                return Photo(
                    if (bitmap.hasAlpha() ||
                        bitmap.config != Bitmap.Config.ARGB_8888
                    ) {
                        flat(bitmap)
                    } else {
                        bitmap
                    },
                )
            } catch (error: Refused) {
                throw BadPhoto(error.message.orEmpty(), error)
            } catch (error: IOException) {
                throw BadPhoto(error.message.orEmpty(), error)
            }
        }

        /** Over white, as Python writes pictures where transparency cannot be kept. */
        private fun flat(bitmap: Bitmap): Bitmap {
            val flat = Bitmap.createBitmap(bitmap.width, bitmap.height, Bitmap.Config.ARGB_8888)
            flat.eraseColor(Color.WHITE)
            Canvas(flat).drawBitmap(bitmap, 0f, 0f, null)
            bitmap.recycle()
            flat.setHasAlpha(false)
            return flat
        }

        /** Leaves the decoder, which lets only unchecked exceptions through. */
        private class Refused(
            message: String,
        ) : RuntimeException(message)
    }
}
