"""What the workbook of manual entries says of its columns, in Finnish and English, by the part of the mapping they are of."""

# part of the mapping: (in Finnish, in English)
ENTRY_COLUMNS: dict[str, tuple[str, str]] = {
    "submitted_at": (
        "Päivä, jona teit kirjauksen (pp.kk.vvvv). Pakollinen.",
        "The day on which you wrote the entry (dd.mm.yyyy). Always needed.",
    ),
    "fields.email": ("Henkilön sähköpostiosoite. Pakollinen.", "The person's e-mail address. Always needed."),
    "fields.given_name": ("Etunimi, jos se kerrottiin.", "Given name, if it was told."),
    "fields.family_name": ("Sukunimi, jos se kerrottiin.", "Family name, if it was told."),
    "fields.phone": ("Puhelinnumero, jos se kerrottiin.", "Phone number, if it was told."),
    "fields.organisation": ("Organisaatio, jos se kerrottiin.", "Organisation, if it was told."),
    "spoken.purpose": (
        "Mitä asia koskee: valitse luettelosta. Jätä tyhjäksi vain, jos annat tapahtuman tunnuksen.",
        "What it is about: choose from the list. Leave it blank only if you give the event's id.",
    ),
    "spoken.topic": (
        "Aihe, jos henkilö rajasi sen: valitse luettelosta. Tyhjä tarkoittaa koko tarkoitusta.",
        "The topic, if the person named one: choose from the list. Blank means the whole purpose.",
    ),
    "spoken.decision": (
        "Mitä henkilö päätti: valitse luettelosta. Tarvitaan, kun tarkoitus on annettu.",
        "What the person decided: choose from the list. Needed where a purpose is given.",
    ),
    "spoken.collected_by": (
        "Kuka kirjasi (työntekijän nimi tai tunnus). Ilman sitä lupa ei ole voimassa.",
        "Who took it down (name or id of staff). A yes does not count without it.",
    ),
    "spoken.method": (
        "Miten se sanottiin: puhelin, sähköposti, tapaaminen. Ilman sitä lupa ei ole voimassa.",
        "How it was said: phone, e-mail, a meeting. A yes does not count without it.",
    ),
    "spoken.wording": (
        "Sanat, joilla lupa kysyttiin ja annettiin. Ei mitään muuta henkilöstä. Ilman niitä lupa ei ole voimassa.",
        "The words by which it was asked and given, and nothing else of the person. A yes does not count without them.",
    ),
    "spoken.said_at": (
        "Päivä, jona henkilö sanoi sen (pp.kk.vvvv). Ilman sitä lupa ei ole voimassa.",
        "The day on which the person said it (dd.mm.yyyy). A yes does not count without it.",
    ),
    "occasion.id": (
        "Tapahtuman tunnus, kun kirjaus koskee tapahtumaa eikä tarkoitusta: kirjaus ilmoittaa henkilön siihen.",
        "The event's id, where the entry is about an event and names no purpose: it registers the person for it.",
    ),
    "occasion.name": ("Tapahtuman nimi.", "The event's name."),
    "occasion.starts_at": (
        "Päivä, jona tapahtuma alkaa (pp.kk.vvvv). Tarvitaan, kun tunnus on annettu, ellei päättymispäivää anneta.",
        "The day on which it starts (dd.mm.yyyy). Needed where an id is given, unless the day of its end is.",
    ),
    "occasion.ends_at": (
        "Päivä, jona tapahtuma päättyy (pp.kk.vvvv). Ilman päiviä tiedot säilyvät vain kirjauspäivän mukaan.",
        "The day on which it ends (dd.mm.yyyy). Without either day, what is kept goes by the day of the entry.",
    ),
}
OTHER = ("Luetaan syötteen määrityksen mukaan.", "Read as the feed's mapping says.")
GUIDE = (
    "Yksi rivi on yhden henkilön yksi päätös. Kielto merkitään aina, vaikka muut tiedot puuttuvat.",
    "One row is one decision of one person. A refusal always counts, even where other cells are blank.",
)
