"""Its place lets the tests below it import what lies beside it."""
