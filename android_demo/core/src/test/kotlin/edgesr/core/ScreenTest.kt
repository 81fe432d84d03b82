package edgesr.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class ScreenTest {
    @Test
    fun bicubicIsThatOfPythonToOneLevel() {
        for (row in golden("pixels.json", "bicubic")) {
            val scale = row.int("scale")
            val (width, height) = row.int("width") to row.int("height")
            val lr = ArrayPicture(width, height, row.ints("lr"))
            val wanted = row.ints("sr")
            val whole = IntArray(wanted.size)
            Bicubic(lr, scale).read(0, 0, scale * width, scale * height, 1, whole)
            for ((index, argb) in whole.withIndex()) {
                for (shift in listOf(0, 8, 16)) {
                    val difference = (argb shr shift and 0xFF) - (wanted[index] shr shift and 0xFF)
                    assertTrue("pixel $index: $difference", difference in -1..1)
                }
            }
            val part = IntArray(6).also { Bicubic(lr, scale).read(3, 2, 3, 2, 1, it) }
            val at = 2 * scale * width + 3
            assertArrayEquals(IntArray(6) { whole[at + it / 3 * scale * width + it % 3] }, part)
        }
    }

    @Test
    fun oneColourStaysItselfAtEveryStep() {
        val grey = ArrayPicture(9, 9, IntArray(81) { Pixels.pack(90, 91, 92) })
        for (step in listOf(1, 2)) {
            val part = IntArray(16).also { Bicubic(grey, 4).read(0, 20, 4, 4, step, it) }
            assertTrue(part.all { it == Pixels.pack(90, 91, 92) })
        }
    }

    @Test
    fun manySquaresAreMeansOfThePixelsInThem() {
        val lr = picture(40, 300)
        val reduced = IntArray(5 * 30).also { Bicubic(lr, 4).read(0, 0, 5, 30, 32, it) }
        val source = lr.pixels()
        for ((index, argb) in reduced.withIndex()) {
            val square =
                (0 until 64).map {
                    source[(index / 5 * 8 + it / 8) * 40 + index % 5 * 8 + it % 8]
                }
            assertEquals(square.map(Pixels::green).average(), Pixels.green(argb).toDouble(), 0.501)
        }
    }

    private fun viewport() = Viewport(4000, 3000).apply { resize(1000, 2000) }

    @Test
    fun aPictureBeginsWholeAndInTheMiddle() {
        val view = viewport()
        assertEquals(0.25, view.zoom, 0.0)
        assertEquals(0.0 to 625.0, view.originX to view.originY)
        assertEquals(4, view.step)
        assertEquals(Region(0, 0, 4000, 3000), view.visible())
    }

    @Test
    fun aPinchKeepsWhatIsUnderTheFingers() {
        val view = viewport()
        view.pinch(4.0, 500.0, 1000.0)
        assertEquals(1.0, view.zoom, 1e-9)
        assertEquals(2000.0, (500 - view.originX) / view.zoom, 1e-9)
        assertEquals(1500.0, (1000 - view.originY) / view.zoom, 1e-9)
        assertEquals(Region(1500, 500, 2500, 2500), view.visible())
        assertEquals(1, view.step)
    }

    @Test
    fun noPinchAndNoPanLeavesThePicture() {
        val view = viewport()
        view.pinch(1e-9, 0.0, 0.0)
        assertEquals(0.25, view.zoom, 0.0)
        view.pinch(1e9, 0.0, 0.0)
        assertEquals(Viewport.MOST, view.zoom, 0.0)
        view.pan(1e9, 1e9)
        assertEquals(0.0 to 0.0, view.originX to view.originY)
        view.pan(-1e9, -1e9)
        assertEquals(Region(3937, 2875, 4000, 3000), view.visible())
    }

    @Test
    fun aTurnedScreenShowsTheSameMiddle() {
        val view = viewport()
        view.pinch(8.0, 300.0, 900.0)
        val before = view.save()
        view.resize(2000, 1000)
        assertArrayEquals(before, view.save(), 1e-9)
        val again = viewport().apply { restore(before) }
        assertArrayEquals(before, again.save(), 1e-9)
    }

    @Test
    fun theSliderStaysOnTheScreen() {
        val view = viewport()
        for ((x, split) in listOf(-5.0 to 0.0, 250.0 to 0.25, 5000.0 to 1.0)) {
            view.slide(x)
            assertEquals(split, view.split, 0.0)
        }
    }

    @Test
    fun doubleTapGoesToOnePixelPerPixelAndBack() {
        val view = viewport()
        view.toggle(500.0, 1000.0)
        assertEquals(1.0, view.zoom, 1e-9)
        view.toggle(500.0, 1000.0)
        assertEquals(0.25, view.zoom, 1e-9)
    }

    @Test
    fun timeLeftFollowsTheLastTiles() {
        val timing = Timing(total = 110, srPixels = 110_000_000, done = 10)
        assertTrue(
            timing.medianMs.isNaN() && timing.etaSeconds.isNaN() && timing.megapixelsPerSecond.isNaN(),
        )
        repeat(18) { timing.add(100.0) }
        repeat(32) { timing.add(200.0) }
        assertEquals(60, timing.done)
        assertEquals(200.0, timing.medianMs, 0.0)
        assertEquals(10.0, timing.etaSeconds, 1e-9)
        assertEquals(8.2, timing.totalSeconds, 1e-9)
        assertEquals(50 / 8.2, timing.megapixelsPerSecond, 1e-9)
    }

    @Test
    fun clocks() {
        assertEquals(
            listOf("0:07", "12:40", "1:02:03", "–"),
            listOf(7.2, 760.0, 3723.0, Double.NaN).map(::clock),
        )
    }

    private val phone = Bytes(heap = 256L shl 20, native = 1L shl 30, storage = 4L shl 30)

    @Test
    fun aPhotoOfTwelveMegapixelsFitsAPhone() {
        val need = MemoryBudget.need(4000, 3000, card(4, 64, 64, 8))
        assertNull(MemoryBudget.shortage(need, phone))
        assertEquals(3L * 16_000 * 12_000 + Canvas.HEADER, need.storage)
        assertTrue("${need.heap} bytes", need.heap in 25_000_000..33_000_000)
        val photoAndOverviews = 4L * (4000 * 3000 + 2 * 2000 * 1500)
        assertEquals(photoAndOverviews + 4L * 3 * 64 * 64 * (1 + 16), need.native)
    }

    @Test
    fun whatIsShortIsNamedWithItsFigures() {
        val need = MemoryBudget.need(4000, 3000, card(4, 64, 64, 8))
        val rooms =
            mapOf(
                "heap" to phone.copy(heap = 48L shl 20),
                "memory" to phone.copy(native = 96L shl 20),
                "storage" to phone.copy(storage = 576_000_000),
            )
        for ((kind, room) in rooms) {
            val sentence = MemoryBudget.shortage(need, room).orEmpty()
            assertTrue(sentence, kind in sentence && sentence.any(Char::isDigit))
        }
        assertTrue("644" in MemoryBudget.shortage(need, rooms.getValue("storage")).orEmpty())
    }

    @Test
    fun anOverviewIsAsLargeAsItMayBe() {
        assertEquals(1, MemoryBudget.overviewStep(2048, 100))
        assertEquals(2, MemoryBudget.overviewStep(100, 2049))
        assertEquals(8, MemoryBudget.overviewStep(16_000, 12_000))
    }
}
