import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_11
        allWarningsAsErrors = true
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_11
    targetCompatibility = JavaVersion.VERSION_11
}

dependencies {
    testImplementation(libs.junit)
}

tasks.test {
    // What the tests of Python are held to as well, and the card of the model that is bundled.
    systemProperty("edgesr.golden", rootDir.resolve("../tests/golden").path)
    systemProperty(
        "edgesr.card",
        rootDir.resolve("app/src/main/assets/models/msfin-s_x4_w8a8_64x64.properties").path,
    )
}
