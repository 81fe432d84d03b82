package edgesr.demo

import android.app.Activity
import android.os.Build
import android.os.Bundle
import android.os.PowerManager
import android.util.Log
import android.view.WindowManager
import android.widget.TextView
import edgesr.core.BadModel
import edgesr.core.ModelCard
import org.json.JSONArray
import org.json.JSONObject
import java.io.File
import kotlin.concurrent.thread

/**
 * Times a bundled model on this phone, for a computer on the other end of adb.
 *
 *     adb shell am start -S -W -n edgesr.demo/.BenchActivity --es model w8a8 --ei threads 2 --es id 1
 *
 * -S stops the app first; else a second start only shows the first one's answer. `python -m export.bench
 * --device adb --mode app` does all of it.
 *
 * Extras: model, the scheme or file name of a bundled model; threads, 0 for the runtime's choice;
 * warmup; runs; id, which the answer repeats. The answer is JSON in files/bench.json (`adb shell run-as
 * edgesr.demo cat files/bench.json`), put there whole, and one log line "edgesr-bench: done ID" or
 * "edgesr-bench: failed ID".
 */
class BenchActivity : Activity() {
    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        val text = TextView(this)
        text.setText(R.string.bench_running)
        stayClearOfBars(text)
        setContentView(text)
        if (state != null) return // turned while it runs
        val id = intent.getStringExtra("id").orEmpty()
        thread(name = "bench") {
            val answer = JSONObject().put("id", id)
            try {
                measure(answer)
            } catch (error: BadModel) {
                answer.put("error", error.message)
            } catch (error: OutOfMemoryError) {
                answer.put("error", error.toString())
            }
            write(answer)
            Log.i(TAG, (if (answer.has("error")) "failed " else "done ") + id)
            runOnUiThread { text.text = answer.toString(2) }
        }
    }

    private fun measure(answer: JSONObject) {
        val card = chosen(intent.getStringExtra("model") ?: "w8a8")
        val threads = intent.getIntExtra("threads", 0)
        val file = Models(this).file(card)
        val power = getSystemService(PowerManager::class.java)
        answer.put("device", "${Build.MANUFACTURER} ${Build.MODEL}").put("sdk", Build.VERSION.SDK_INT)
        answer.put("abi", Build.SUPPORTED_ABIS.first()).put("threads", threads)
        answer.put("file", card.file).put("sha256", card.sha256)
        answer.put("thermal_before", thermal(power))
        val begin = System.nanoTime()
        ExecuTorchEngine(file, card, threads).use { engine ->
            answer.put("load_ms", since(begin))
            val noise = java.util.Random(0)
            for (index in 0 until card.inputSize) engine.input.put(index, noise.nextInt(256) / 255f)
            repeat(intent.getIntExtra("warmup", 5)) { engine.run() }
            val times = JSONArray()
            repeat(intent.getIntExtra("runs", 50)) {
                val start = System.nanoTime()
                engine.run()
                times.put(since(start))
            }
            answer.put("ms", times)
        }
        answer.put("thermal_after", thermal(power)).put("resident_mb", Session.residentMb())
    }

    private fun chosen(name: String): ModelCard {
        val cards = Models(this).cards()
        return cards.firstOrNull { name == it.scheme || name == it.file }
            ?: throw BadModel("No bundled model is $name; there are ${cards.map { it.file }}.")
    }

    /** From 0, cool, to 6, about to shut down; -1 where the phone does not say. */
    private fun thermal(power: PowerManager): Int =
        if (Build.VERSION.SDK_INT >= 29) {
            Api29.thermalStatus(power)
        } else {
            -1
        }

    private fun since(nanoTime: Long): Double = (System.nanoTime() - nanoTime) / 1e6

    private fun write(answer: JSONObject) {
        val half = File(filesDir, "bench.half")
        half.writeText(answer.toString(2) + "\n")
        half.renameTo(File(filesDir, "bench.json"))
    }

    private companion object {
        const val TAG = "edgesr-bench"
    }
}
