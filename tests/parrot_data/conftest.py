"""Its place lets the tests beside and below it import `synthetic`."""
