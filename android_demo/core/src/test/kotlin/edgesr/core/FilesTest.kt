package edgesr.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.IOException
import java.io.StringReader
import javax.imageio.ImageIO
import kotlin.random.Random

class FilesTest {
    @get:Rule
    val folder = TemporaryFolder()

    private fun canvas(
        picture: Picture,
        rows: Int = picture.height,
    ): File {
        val file = File(folder.root, "canvas")
        Canvas.create(file, picture.width, picture.height).use { canvas ->
            for (y in 0 until rows) {
                canvas.write(
                    y,
                    1,
                    IntArray(picture.width).also {
                        picture.read(0, y, it.size, 1, it)
                    },
                )
            }
        }
        return file
    }

    @Test
    fun canvasGivesBackWhatItWasGiven() {
        val wanted = picture(13, 7)
        Canvas.open(canvas(wanted)).use {
            assertTrue(it.complete)
            assertArrayEquals(wanted.pixels(), it.pixels())
            val part = IntArray(6)
            it.read(4, 2, 3, 2, part)
            assertArrayEquals(IntArray(6).also { to -> wanted.read(4, 2, 3, 2, to) }, part)
        }
    }

    @Test
    fun canvasOfAKilledProcessKnowsItsRows() {
        Canvas.open(canvas(picture(13, 7), rows = 5)).use {
            assertFalse(it.complete)
            assertEquals(5, it.rowsDone)
            assertThrows(IllegalArgumentException::class.java) { it.write(6, 1, IntArray(13)) }
            it.write(5, 2, IntArray(26))
            assertTrue(it.complete)
        }
    }

    @Test
    fun whatIsNoCanvasIsRefused() {
        val file = canvas(picture(13, 7))
        val bytes = file.readBytes()
        file.writeBytes(bytes.copyOf(bytes.size - 1))
        assertThrows(IOException::class.java) { Canvas.open(file) }
        file.writeBytes(ByteArray(400))
        assertThrows(IOException::class.java) { Canvas.open(file) }
        file.writeBytes(ByteArray(3))
        assertThrows(IOException::class.java) { Canvas.open(file) }
        assertThrows(IOException::class.java) { Canvas.open(File(folder.root, "absent")) }
    }

    @Test
    fun reducedPixelsAreMeans() {
        val pixels =
            intArrayOf(
                Pixels.pack(0, 10, 255),
                Pixels.pack(1, 20, 255),
                Pixels.pack(1, 30, 255),
                Pixels.pack(1, 41, 254),
            )
        Canvas.open(canvas(ArrayPicture(2, 2, pixels))).use {
            val mean = IntArray(1)
            it.readReduced(0, 0, 1, 1, 2, mean)
            assertEquals(Pixels.pack(1, 25, 255), mean[0])
        }
        val wide = picture(12, 8)
        Canvas.open(canvas(wide)).use {
            val all = IntArray(6 * 4).also { to -> it.readReduced(0, 0, 6, 4, 2, to) }
            val part = IntArray(2 * 2).also { to -> it.readReduced(4, 2, 2, 2, 2, to) }
            assertArrayEquals(intArrayOf(all[8], all[9], all[14], all[15]), part)
        }
    }

    @Test
    fun pngIsReadByOthers() {
        val random = Random(0) // of few levels, so that the filter's neighbours are often equally near
        val noise = ArrayPicture(61, 40, IntArray(61 * 40) { Pixels.pack(it % 5, random.nextInt(4), 7) })
        for (wanted in listOf(picture(61, 40), noise)) {
            val out = ByteArrayOutputStream()
            Canvas.open(canvas(wanted)).use { Png.write(it, out) }
            val read = ImageIO.read(out.toByteArray().inputStream())
            assertEquals(61 to 40, read.width to read.height)
            assertArrayEquals(wanted.pixels(), read.getRGB(0, 0, 61, 40, null, 0, 61))
        }
    }

    @Test
    fun pngOfHalfAPictureIsRefused() {
        Canvas.open(canvas(picture(13, 7), rows = 5)).use {
            assertThrows(IllegalStateException::class.java) { Png.write(it, ByteArrayOutputStream()) }
        }
    }

    @Test
    fun cardIsReadAndAMistakeInItNamed() {
        val text = File(System.getProperty("edgesr.card")).readText()
        val card = ModelCard.read(StringReader(text))
        assertEquals("msfin-s x4 int8", card.label)
        val labels = listOf("fp32", "int8").map { card.copy(scheme = it).label }
        assertEquals(listOf("msfin-s x4 fp32", "msfin-s x4 all int8"), labels)
        assertEquals(
            listOf(4, 64, 64, 8, 1),
            listOf(card.scale, card.tileHeight, card.tileWidth, card.overlap, card.multiple),
        )
        for ((from, to) in listOf(
            "scale=4" to "",
            "scale=4" to "scale=four",
            "scale=4" to "scale=0",
            "overlap=8" to "overlap=32",
        )) {
            assertTrue(from in text)
            val error =
                assertThrows(
                    BadModel::class.java,
                ) { ModelCard.read(StringReader(text.replace(from, to))) }
            assertTrue(error.message, from.substringBefore('=') in error.message.orEmpty())
        }
    }
}
