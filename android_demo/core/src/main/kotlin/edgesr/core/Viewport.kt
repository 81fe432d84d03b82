package edgesr.core

/** A rectangle of SR pixels: [left] ≤ x < [right], [top] ≤ y < [bottom]. */
data class Region(
    val left: Int,
    val top: Int,
    val right: Int,
    val bottom: Int,
)

/**
 * Where a picture of [imageWidth] x [imageHeight] SR pixels lies on a screen, and where the slider is.
 *
 * Screen x = [originX] + [zoom] * picture x. Before and after share one viewport, hence always the same
 * place and size.
 */
class Viewport(
    private val imageWidth: Int,
    private val imageHeight: Int,
) {
    var viewWidth = 0
        private set
    var viewHeight = 0
        private set
    var zoom = 1.0
        private set
    var originX = 0.0
        private set
    var originY = 0.0
        private set

    /** The slider, from 0 (all after) to 1 (all before). */
    var split = 0.5
        private set

    private val fitting get() =
        minOf(
            viewWidth.toDouble() / imageWidth,
            viewHeight.toDouble() / imageHeight,
        )

    /** The view has a size now, or another one: what is in its middle stays there. */
    fun resize(
        width: Int,
        height: Int,
    ) {
        if (width <= 0 || height <= 0) return
        val fresh = viewWidth == 0
        val (middleX, middleY) = (viewWidth / 2 - originX) / zoom to (viewHeight / 2 - originY) / zoom
        viewWidth = width
        viewHeight = height
        if (fresh) {
            zoom = fitting
        } else {
            originX = width / 2 - middleX * zoom
            originY = height / 2 - middleY * zoom
        }
        clamp()
    }

    fun pan(
        dx: Double,
        dy: Double,
    ) {
        originX += dx
        originY += dy
        clamp()
    }

    /** Zoom by [factor] about a point of the screen, which keeps its place in the picture. */
    fun pinch(
        factor: Double,
        x: Double,
        y: Double,
    ) {
        val wanted = (zoom * factor).coerceIn(minOf(fitting, 1.0), maxOf(MOST, fitting))
        originX = x - (x - originX) * wanted / zoom
        originY = y - (y - originY) * wanted / zoom
        zoom = wanted
        clamp()
    }

    /** From the whole picture to one SR pixel per screen pixel about a point, and back. */
    fun toggle(
        x: Double,
        y: Double,
    ) = pinch((if (zoom < 0.99) 1.0 else fitting) / zoom, x, y)

    fun slide(x: Double) {
        split = (x / maxOf(viewWidth, 1)).coerceIn(0.0, 1.0)
    }

    /**
     * SR pixels a side that one fetched pixel stands for: a power of two, so that it fills 0.7 to 1.4
     * screen pixels.
     */
    val step: Int
        get() {
            var step = 1
            while (step * zoom < 0.7) step *= 2
            return step
        }

    /** What is on the screen, widened to whole squares of [step], and never beyond the picture. */
    fun visible(): Region {
        val step = step

        fun low(
            origin: Double,
            end: Int,
        ) = (Math.floor(-origin / zoom).toInt().coerceIn(0, end - 1)) / step * step

        fun high(
            origin: Double,
            view: Int,
            end: Int,
        ) = minOf(
            end,
            (Math.ceil((view - origin) / zoom).toInt().coerceIn(1, end) + step - 1) / step * step,
        )
        return Region(
            low(originX, imageWidth),
            low(originY, imageHeight),
            high(originX, viewWidth, imageWidth),
            high(originY, viewHeight, imageHeight),
        )
    }

    /** As numbers that survive the process, and back. */
    fun save(): DoubleArray =
        doubleArrayOf(
            zoom,
            (viewWidth / 2 - originX) / zoom,
            (viewHeight / 2 - originY) / zoom,
            split,
        )

    fun restore(saved: DoubleArray) {
        zoom = saved[0].coerceIn(1e-3, MOST)
        originX = viewWidth / 2 - saved[1] * zoom
        originY = viewHeight / 2 - saved[2] * zoom
        split = saved[3].coerceIn(0.0, 1.0)
        clamp()
    }

    /** A picture larger than the view covers it; a smaller one is in its middle. */
    private fun clamp() {
        originX = clamped(originX, viewWidth, zoom * imageWidth)
        originY = clamped(originY, viewHeight, zoom * imageHeight)
    }

    private fun clamped(
        origin: Double,
        view: Int,
        size: Double,
    ) = if (size <= view) (view - size) / 2 else origin.coerceIn(view - size, 0.0)

    companion object {
        /** Screen pixels per SR pixel at most. */
        const val MOST = 16.0
    }
}
