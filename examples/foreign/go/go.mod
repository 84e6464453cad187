module rings.example/words

go 1.22
