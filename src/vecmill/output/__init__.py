"""What a writer has left: finding it, reading its manifest, sending it on."""
