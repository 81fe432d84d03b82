package edgesr.core

/** What a run of [total] tiles took so far, [done] of them before it began. Not for several threads. */
class Timing(
    private val total: Int,
    private val srPixels: Long,
    done: Int = 0,
) {
    private val before = done
    private val milliseconds = ArrayList<Double>()

    fun add(milliseconds: Double) {
        this.milliseconds += milliseconds
    }

    val done: Int get() = before + milliseconds.size

    /** Median per tile; NaN before the first. */
    val medianMs: Double
        get() {
            if (milliseconds.isEmpty()) return Double.NaN
            val sorted = milliseconds.sorted()
            return (sorted[(sorted.size - 1) / 2] + sorted[sorted.size / 2]) / 2
        }

    val totalSeconds: Double get() = milliseconds.sum() / 1000

    /**
     * Seconds left, from the mean of the last tiles: a phone that grows hot grows slow. NaN before the
     * first.
     */
    val etaSeconds: Double get() = milliseconds.takeLast(RECENT).average() * (total - done) / 1000

    /** Million SR pixels per second. NaN before the first tile. */
    val megapixelsPerSecond: Double
        get() {
            if (milliseconds.isEmpty()) return Double.NaN
            return srPixels.toDouble() * milliseconds.size / total / 1e6 / totalSeconds
        }

    private companion object {
        const val RECENT = 32
    }
}

/** Seconds as 0:07, 12:40 or 1:02:03. */
fun clock(seconds: Double): String {
    if (seconds.isNaN()) return "–"
    val whole = Math.round(seconds)
    val (hours, minutes, rest) = Triple(whole / 3600, whole / 60 % 60, whole % 60)
    return if (hours >
        0
    ) {
        "%d:%02d:%02d".format(hours, minutes, rest)
    } else {
        "%d:%02d".format(minutes, rest)
    }
}
