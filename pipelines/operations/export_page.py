"""The page of an export: what is held of a person, to be read by them, in Finnish and English side by side."""

from typing import Any

from jinja2 import Environment
from markupsafe import Markup

HEADINGS = {
    "contact_points": ("Osoite", "Address"),
    "persons": ("Henkilö", "Person"),
    "purposes": ("Käyttötarkoitukset ja niiden päättyminen", "Purposes and their ends"),
    "consents": ("Suostumukset nyt", "Consents now"),
    "addresses_before": ("Aiemmat osoitteesi", "Your addresses before"),
    "consent_history": ("Suostumushistoria", "Consent history"),
    "submissions": ("Lähettämäsi lomakkeet", "What you submitted"),
    "answers": ("Vastaukset", "Answers"),
    "registrations": ("Ilmoittautumiset", "Registrations"),
    "stated_values": ("Rekisterien ilmoittamat valinnat", "Choices as the sources state them"),
    "sign_ups_that_wait": ("Vahvistustasi odottavat tilaukset", "Sign-ups that wait for your confirmation"),
    "overwritten": ("Korvatut tiedot, joita säilytetään lyhyesti", "Overwritten data, kept for a short time"),
    "known_of_crm": ("Mitä tiedämme asiakasrekisterin sisällöstä", "What we know of the CRM"),
    "writes_to_crm": ("Kirjoitukset asiakasrekisteriin", "Writes to the CRM"),
    "disclosures": ("Luovutukset", "Disclosures"),
    "requests": ("Pyyntösi", "Your requests"),
    "requests_on_your_page": ("Omalla sivullasi tekemäsi pyynnöt", "Requests you made on your page"),
    "links_mailed_to_you": ("Sinulle lähetetyt linkit", "Links mailed to you"),
    "restrictions": ("Käsittelyn rajoitukset", "Restrictions"),
    "legal_holds": ("Säilytys oikeusvaateen vuoksi", "Legal holds"),
    "readings": ("Milloin ja mihin tietojasi on katsottu", "When your data was looked at, and for what"),
    "quarantine": ("Epäselvät kohdat", "What could not be read"),
    "landing": ("Vastaanotettu sellaisenaan (enintään 90 päivää)", "As received (90 days at most)"),
    "crm": ("Asiakasrekisterissä nyt", "In the CRM now"),
}

_PAGE = """<!doctype html>
<html lang="fi"><head><meta charset="utf-8"><title>Tietosi · Your data</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem } h2 small { color: #555; font-weight: normal }
table { border-collapse: collapse; width: 100%; font-size: .85rem } td, th { border: 1px solid #ccc; padding: .25rem .5rem;
text-align: left; vertical-align: top; overflow-wrap: anywhere } th { background: #f3f3f3 } .scroll { overflow-x: auto }
</style></head><body>
<h1>Tietosi <small>· Your data</small></h1>
<p>{{ controller.name }} · {{ controller.contact }} · {{ made_at }}</p>
<p lang="fi">Tässä on kaikki, mitä sinusta säilytämme, ja mihin tietoja käytetään. Voit pyytää oikaisua, poistoa tai
käsittelyn rajoittamista ja vastustaa käyttöä; voit valittaa tietosuojavaltuutetulle (tietosuoja.fi).</p>
<p lang="en">This is all that we hold of you, and what it is used for. You may ask for rectification, erasure or restriction,
and object; you may complain to the Data Protection Ombudsman (tietosuoja.fi).</p>
<h2>Käyttötarkoitukset <small>· Purposes</small></h2>
{{ table(purpose_rows) }}
<h2>Lähteet <small>· Sources</small></h2>{{ table(sources) }}
<h2>Vastaanottajat <small>· Recipients</small></h2>{{ table(recipients) }}
<h2>Järjestäjät <small>· Organisers</small></h2>{{ table(organisers) }}
{% for note in notes %}<p>{{ note }}</p>{% endfor %}
{% for kind, heading in headings.items() %}
<h2>{{ heading[0] }} <small>· {{ heading[1] }}</small></h2>{{ table(data.get(kind, [])) }}
{% endfor %}
</body></html>
"""

_TABLE = """{% if rows %}<div class="scroll"><table>
<tr>{% for name in names %}<th>{{ name.replace('_', ' ') }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for name in names %}<td>{{ row[name] if row[name] is not none else '' }}</td>{% endfor %}</tr>
{% endfor %}</table></div>{% else %}<p>–</p>{% endif %}"""


def render_page(told: dict[str, Any]) -> str:
    """An export as one HTML page, without a script; every value is escaped."""
    environment = Environment(autoescape=True)
    table = environment.from_string(_TABLE)

    def tabled(rows: list[dict[str, Any]]) -> Any:
        names = list(dict.fromkeys(name for row in rows for name in row))
        filled = [{name: row.get(name) for name in names} for row in rows]
        return Markup(table.render(rows=filled, names=names))

    purposes = [{"purpose": name, **purpose} for name, purpose in told["purposes"].items()]
    page = environment.from_string(_PAGE)
    return page.render(**told, headings=HEADINGS, table=tabled, purpose_rows=purposes)
