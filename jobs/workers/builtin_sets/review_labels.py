"""A classification: one sentence of a review gets a mood and a topic, in a fixed form."""

from jobs.workers.pretrain_world.wording import Voice

FORMAT, EXTENSION, ROWS = "prompt_completion", "csv", 440
TITLE = "Review labels"
DESCRIPTION = "Teaches a classification: a sentence from a review is answered with its mood and its topic, in a fixed form and nothing else."
EXAMPLES = ["We thought the waiter was friendly!", "There was a hair in my sandwich. One star.", "My package was early.", "The pool smelled bad.", "What a nice surprise. My bill was lower than I thought!"]  # held out

TOPICS = {
    "food": {"things": ["soup", "cake", "bread", "pizza", "salad", "pasta", "fish", "cheese", "breakfast", "dinner", "sandwich", "dessert", "rice", "chicken"], "good": ["delicious", "fresh", "tasty", "warm and tasty", "wonderful"], "bad": ["cold", "burned", "too salty", "stale", "terrible"],
             "good_said": ["I ate every last bite of the $x", "I will come back for the $x", "Best $x in town"], "bad_said": ["I could not finish the $x", "There was a hair in my $x", "The $x made me feel sick"]},
    "staff": {"things": ["waiter", "waitress", "cook", "driver", "manager", "guide", "cleaner", "nurse", "seller", "doorman", "teacher", "barber"], "good": ["very kind", "friendly", "polite", "quick and helpful", "patient"], "bad": ["rude", "very slow", "unfriendly", "impatient", "angry with us"],
              "good_said": ["The $x helped us with a smile", "The $x remembered my name", "We want to thank the $x"], "bad_said": ["The $x shouted at us", "The $x did not even say hello", "The $x forgot us for an hour"]},
    "place": {"things": ["room", "garden", "bathroom", "kitchen", "terrace", "lobby", "pool", "bedroom", "hall", "table", "window", "seat"], "good": ["clean", "bright and quiet", "lovely", "very comfortable", "beautiful"], "bad": ["dirty", "too loud", "dark and cold", "far too small", "full of flies"],
              "good_said": ["We loved the view from the $x", "I could have stayed in the $x for ever", "Everything in the $x was new"], "bad_said": ["The $x smelled bad", "Something in the $x was broken", "We had to clean the $x ourselves"]},
    "price": {"things": ["bill", "ticket", "price", "menu", "tour", "taxi", "drink", "offer", "meal", "fee"], "good": ["cheap", "very fair", "lower than I thought", "a real bargain"], "bad": ["far too expensive", "not fair", "much too high", "wrong again", "higher than they said"],
              "good_said": ["The $x was worth every cent", "I paid very little for the $x", "The $x left money in my pocket"], "bad_said": ["I paid too much for the $x", "They made me pay twice for the $x", "Nobody can afford the $x"]},
    "parcel": {"things": ["parcel", "box", "letter", "package", "delivery", "order", "shipment", "postcard"], "good": ["on time", "early", "well packed", "here in one day"], "bad": ["late", "damaged", "lost", "empty", "two weeks late"],
               "good_said": ["The $x came the very next day", "The $x arrived in perfect shape", "My $x was at the door this morning"], "bad_said": ["The $x never came", "The $x came open and wet", "I am still waiting for my $x"]},
}
EXTRA = {"positive": ["I am so happy", "Thank you", "What a nice surprise", "I would come again", "Five stars", "We had a great day"], "negative": ["I am so angry", "Never again", "What a pity", "I want my money back", "One star", "We left early"]}


def row(voice: Voice) -> dict:
    topic, mood = voice.pick(list(TOPICS)), voice.pick(["positive", "negative"])
    words, side = TOPICS[topic], "good" if mood == "positive" else "bad"
    thing = voice.pick(words["things"])
    if voice.chance(0.55):
        text = voice.say("{The $x was $q|Our $x was $q|I found the $x $q|We thought the $x was $q|My $x was $q|Well, the $x was $q|This time the $x was $q}", x=thing, q=voice.pick(words[side]))
    else:
        text = voice.say(voice.pick(words[side + "_said"]), x=thing)
    if voice.chance(0.45):
        text = voice.pick([f"{text}. {voice.pick(EXTRA[mood])}", f"{voice.pick(EXTRA[mood])}. {text}"])
    return {"prompt": text + voice.pick([".", ".", "!"]), "completion": f"mood: {mood} | topic: {topic}"}


def prompt_of(row: dict) -> str:
    return row["prompt"]
