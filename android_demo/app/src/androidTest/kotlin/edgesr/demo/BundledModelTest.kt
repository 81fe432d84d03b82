package edgesr.demo

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import edgesr.core.ArrayPicture
import edgesr.core.Canvas
import edgesr.core.Pixels
import edgesr.core.Upscaler
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import java.io.File

/** The bundled models in the phone's own ExecuTorch. Needs an emulator or a phone. */
@RunWith(AndroidJUnit4::class)
class BundledModelTest {
    private val context = InstrumentationRegistry.getInstrumentation().targetContext

    @Test
    fun everyModelKeepsAPlainColourNearlyPlain() {
        val models = Models(context)
        val grey = ArrayPicture(100, 70, IntArray(100 * 70) { Pixels.pack(120, 130, 140) })
        for (card in models.cards()) {
            val file = File(context.cacheDir, "canvas")
            Canvas.create(file, card.scale * 100, card.scale * 70).use { canvas ->
                ExecuTorchEngine(models.file(card), card, 1).use { Upscaler(it, card).run(grey, canvas) }
                val pixel = IntArray(1)
                canvas.read(canvas.width / 2, canvas.height / 2, 1, 1, pixel)
                assertTrue(canvas.complete)
                assertEquals(card.label, 120.0, Pixels.red(pixel[0]).toDouble(), 6.0)
                assertEquals(card.label, 140.0, Pixels.blue(pixel[0]).toDouble(), 6.0)
            }
            file.delete()
        }
    }
}
