"""What one text is: cleaning, personal data, names of people, licences."""
