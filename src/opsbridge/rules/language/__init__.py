"""What a rule file may say: models, places of errors, circles, the schema for editors, the layout."""
