package edgesr.core

import java.io.File
import javax.imageio.ImageIO
import kotlin.system.exitProcess

/**
 * What the app does, on this host: CARD IN.png OUT.png RUNNER [ARGUMENT …] enlarges a picture by the
 * model of a card.
 *
 * RUNNER is a process as [ProcessEngine] describes it. The enlargement goes through a [Canvas] beside
 * OUT.png.
 */
fun main(arguments: Array<String>) {
    if (arguments.size < 4) {
        System.err.println("usage: CARD IN.png OUT.png RUNNER [ARGUMENT …]")
        exitProcess(2)
    }
    val card = File(arguments[0]).reader().use(ModelCard::read)
    val image = checkNotNull(ImageIO.read(File(arguments[1]))) { "${arguments[1]} is no image" }
    val lr =
        ArrayPicture(
            image.width,
            image.height,
            image.getRGB(0, 0, image.width, image.height, null, 0, image.width),
        )
    val file = File("${arguments[2]}.canvas")
    val timing = Timing(tiles(lr, card), card.scale * card.scale * lr.width.toLong() * lr.height)
    val listener =
        object : Listener {
            override fun onTile(
                done: Int,
                total: Int,
                milliseconds: Double,
            ) {
                timing.add(milliseconds)
                if (done % 500 == 0) System.err.println("$done/$total, ${clock(timing.etaSeconds)} left")
            }
        }
    Canvas.create(file, card.scale * lr.width, card.scale * lr.height).use { canvas ->
        ProcessEngine(arguments.drop(3), card).use { Upscaler(it, card).run(lr, canvas, listener) }
        File(arguments[2]).outputStream().buffered().use { Png.write(canvas, it) }
    }
    file.delete()
    val used = Runtime.getRuntime().run { totalMemory() - freeMemory() } / 1_000_000
    println(
        "%d tiles, %.1f ms each, %.2f MP/s, %d MB of heap in use".format(
            timing.done,
            timing.medianMs,
            timing.megapixelsPerSecond,
            used,
        ),
    )
}

private fun tiles(
    picture: Picture,
    card: ModelCard,
): Int {
    val rows = plan(picture.height, card.tileHeight, card.overlap, card.multiple)
    return rows.size * plan(picture.width, card.tileWidth, card.overlap, card.multiple).size
}
