"""What proves the app without an Android SDK: fetch the tools, compile, look references up, link."""
