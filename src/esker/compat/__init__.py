"""Compatibility: other engines' interfaces over our collections. `pyspark` is Spark's RDD API without a JVM."""
