"""Names to make people of: given and family names common in Finland, and employers, all put together at random.

Nobody is meant: a made-up person is a random pair of these, living at a reserved example domain.
"""

_ONE_WORD_GIVEN = """
    Aino Aatos Eino Eeva Elina Emma Ella Eero Helmi Hilla Ilona Inkeri Jari Jukka Juhani Johanna Kaarina Kalevi
    Kari Katri Kerttu Kirsi Lauri Leena Liisa Lumi Maija Marja Marko Matti Mikko Minna Niko Noora Oiva Olavi Onni
    Outi Paavo Pekka Pihla Päivi Raimo Reijo Riikka Ritva Saara Sami Satu Seppo Sini Taina Tapani Tarja Timo Tuula
    Tuomas Tyyne Ulla Urho Vappu Veikko Venla Vesa Viljo Väinö Yrjö Äly Östen Åke Åsa Göran Björn Märta Sölve Jörgen
    Birgitta Ingrid Henrik Fredrik Anna-Liisa Eeva-Kaisa Juha-Pekka Jan-Erik Maj-Britt Ulla-Maija Olli-Pekka
    Marja-Leena Carl-Gustaf Amina Fatima Mohamed Ivan Olga Nguyen Linh Zoë José Chloé"""
_ONE_WORD_FAMILY = """
    Virtanen Korhonen Mäkinen Nieminen Mäkelä Hämäläinen Laine Heikkinen Koskinen Järvinen Lehtonen Lehtinen
    Saarinen Niemi Salonen Heinonen Heikkilä Salminen Kinnunen Tuominen Turunen Salo Laitinen Rantanen Karjalainen
    Jokinen Mattila Savolainen Lahtinen Ahonen Leppänen Hiltunen Väisänen Pitkänen Leinonen Miettinen Aaltonen Ojala
    Manninen Koivisto Laaksonen Kettunen Hakala Räsänen Anttila Lehto Hirvonen Laakso Kallio Ikonen Eskola Toivonen
    Peltonen Nurminen Moilanen Pulkkinen Peltola Mustonen Partanen Lappalainen Nykänen Väänänen Kärkkäinen Pääkkönen
    Yli-Hukkala Ala-Äijälä Mäki-Petäjä Sjöström Åkerblom Öhman Nordström Bäckman Lindqvist Söderström Holmström
    O'Connor D'Angelo O'Brien Hassan Petrova Nguyen Müller Kovačević Łukasz"""
GIVEN_NAMES = (*_ONE_WORD_GIVEN.split(), "Anna Maria", "Kaisa Sofia", "Matti Juhani")

FAMILY_NAMES = (*_ONE_WORD_FAMILY.split(), "af Ursin", "von Bonsdorff", "de Groot", "af Hällström")

_EMPLOYERS = """
    Tähtitekniikka Kuuraverkko Havumetsä Järviseutu Revontuli Kanervakoti Pohjanpaja Saaristolinja Lumikide
    Kiuaskivi Mustikkamaa Koivurinne Suopursu Harjutuuli Aallokko Keloranta Syysvalo Jääkukka Karpalosuo Petäjä"""
EMPLOYERS = tuple(_EMPLOYERS.split())
EMPLOYER_FORMS = ("Oy", "Ab", "ry", "Ky", "osk")

CITIES = (
    ("00100", "Helsinki"),
    ("02100", "Espoo"),
    ("04200", "Kerava"),
    ("20100", "Turku"),
    ("33100", "Tampere"),
    ("40100", "Jyväskylä"),
    ("53100", "Lappeenranta"),
    ("65100", "Vaasa"),
    ("70100", "Kuopio"),
    ("90100", "Oulu"),
    ("96100", "Rovaniemi"),
    ("22100", "Mariehamn"),
)
STREETS = ("Mallikatu", "Esimerkkitie", "Kuvitteellinenpolku", "Satukuja", "Harjoitusraitti")
JOB_TITLES = ("Sairaanhoitaja", "Insinööri", "Opettaja", "Yrittäjä", "Toimitusjohtaja", "Kehittämispäällikkö", "")
COURSE_SUBJECTS = (
    ("Tekoälyn perusteet", "ict"),
    ("Projektijohtaminen", "business"),
    ("Lääkehoidon päivitys", "health"),
    ("Kiertotalous käytännössä", "environment"),
    ("Palvelumuotoilu", "business"),
    ("Kyberturvallisuus", "ict"),
    ("Työelämän ruotsi", "languages"),
    ("Rakentamisen energiatehokkuus", "technology"),
    ("Johdatus kasvatustieteeseen", "education"),
    ("Sote-johtaminen", "health"),
)
