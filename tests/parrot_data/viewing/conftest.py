"""Its place lets the tests beside it import `page_data`, and `synthetic` from above."""
