"""Any place that holds files, on a disk or in a bucket: written, read and listed."""
