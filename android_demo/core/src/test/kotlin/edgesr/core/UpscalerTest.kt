package edgesr.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class UpscalerTest {
    private fun upscale(
        picture: Picture,
        card: ModelCard,
        listener: Listener = object : Listener {},
        fold: Boolean = false,
        rowsDone: Int = 0,
    ): MemorySink {
        val sink = MemorySink(card.scale * picture.width, card.scale * picture.height)
        TestEngine(card, fold).use { Upscaler(it, card).run(picture, sink, listener, rowsDone) }
        return sink
    }

    @Test
    fun tilesAreThoseOfPython() {
        val rows = golden("pixels.json", "tiled")
        assertTrue("${rows.size} pictures", rows.size >= 4)
        for (row in rows) {
            val (height, width, overlap) = listOf("tile_height", "tile_width", "overlap").map(row::int)
            val card = card(row.int("scale"), height, width, overlap, row.int("multiple"))
            val lr = ArrayPicture(row.int("width"), row.int("height"), opaque(row.ints("lr")))
            assertArrayEquals(opaque(row.ints("sr")), upscale(lr, card, fold = true).pixels)
        }
    }

    private fun opaque(rgb: IntArray) = IntArray(rgb.size) { rgb[it] or (0xFF shl 24) }

    @Test
    fun everyPixelArrivesOnceAtItsPlace() {
        for (width in listOf(1, 15, 16, 17, 61)) {
            for (height in listOf(1, 11, 12, 13, 40)) {
                val lr = picture(width, height)
                val source = lr.pixels()
                val wide = 2 * width
                val wanted = IntArray(4 * source.size) { source[it / wide / 2 * width + it % wide / 2] }
                assertArrayEquals("$width x $height", wanted, upscale(lr, card()).pixels)
            }
        }
    }

    @Test
    fun progressCountsEveryTile() {
        val seen = ArrayList<Pair<Int, Int>>()
        val listener =
            object : Listener {
                override fun onTile(
                    done: Int,
                    total: Int,
                    milliseconds: Double,
                ) {
                    assertTrue(milliseconds >= 0)
                    seen += done to total
                }
            }
        upscale(picture(61, 40), card(), listener)
        assertEquals((1..25).map { it to 25 }, seen)
    }

    private class CancelAfter(
        private val tiles: Int,
    ) : Listener {
        var done = 0

        override fun cancelled() = done == tiles

        override fun onTile(
            done: Int,
            total: Int,
            milliseconds: Double,
        ) {
            this.done = done
        }
    }

    @Test
    fun cancelEndsItBeforeTheNextTile() {
        for (tiles in listOf(0, 3, 6)) {
            val listener = CancelAfter(tiles)
            assertThrows(Cancelled::class.java) { upscale(picture(61, 40), card(), listener) }
            assertEquals(tiles, listener.done)
        }
    }

    @Test
    fun aStoppedRunIsContinuedWithTheSamePixels() {
        val lr = picture(61, 40)
        val whole = upscale(lr, card(), fold = true)
        for (done in whole.bands.drop(1)) {
            val rest = upscale(lr, card(), fold = true, rowsDone = done)
            val from = whole.width * done
            assertArrayEquals(whole.pixels.drop(from).toIntArray(), rest.pixels.drop(from).toIntArray())
            assertEquals(whole.bands.filter { it >= done }, rest.bands)
        }
        assertEquals(emptyList<Int>(), upscale(lr, card(), rowsDone = 80).bands)
        assertThrows(IllegalArgumentException::class.java) {
            upscale(
                lr,
                card(),
                rowsDone =
                    whole.bands[1] + 1,
            )
        }
    }
}
