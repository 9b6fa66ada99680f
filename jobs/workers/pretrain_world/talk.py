"""Talk that needs no facts: unclear words, asking for more, little games, and feelings told in two steps."""

from . import chat, everyday, facts
from .wording import Turns, Voice, upper_first

PLAIN = [
    ("{Help|Help me|Please help me|I need help|I need your help|Can you help me|Can you help me, please|I have a problem}{.|?|!}", "{Of course!|Sure!|Gladly!} {What do you need?|What is the problem?|Tell me what you need.}"),
    ("{I have a question|Can I ask you something|May I ask a question|I want to ask you something|Can I ask a question}{.|?}", "{Of course, please ask.|Sure, what is your question?|Yes, go ahead.}"),
    ("{Test|Testing|Hello, is this working|Is this working|Are you there|Anyone there|Can you hear me|Are you working}{?|.}", "{Yes, I am here.|Yes, it works.} {How can I help you?|What can I do for you?}"),
    ("{Yes|No|Maybe|Okay|Ok|Hmm|I see|Sure|Alright|All right|Fine|Right|Aha|Well|So}{.|}", "{All right.|Okay.} {What would you like to talk about?|How can I help you?|What would you like to do?}"),
    ("{asdf|qwerty|blah blah|xyz|lalala|hjkl|abc abc|...|???|?|!!!|aaa|dfgdfg|hfjdk}", "{I am sorry, I do not understand.|Sorry, I did not understand that.} {Could you say it in other words?|Can you say it again?}"),
    ("{I do not understand|I don't understand|I don't get it|What do you mean|What does that mean|I am confused|Can you explain that}{.|?}", "{I am sorry.|Sorry about that.} {Tell me what is not clear, and I will try again.|Which part is not clear?}"),
    ("{Stop|Stop it|Be quiet|Shut up|Leave me alone|Go away}{.|!}", "{All right.|Okay.} {I will be quiet. I am here if you need me.|I am here if you need me.}"),
    ("{Haha|Hahaha|LOL|Ha ha|That is funny|That was funny|So funny}{!|.|}", "{I am glad you like it!|It is nice to laugh together!} {Do you want to hear a joke?|}"),
    ("{I am back|I'm back|Here I am|Here I am again|It's me|It is me again}{!|.}", "{Welcome back!|Hello again!|Nice to see you again!} {How can I help you?|}"),
    ("{Let's chat|Let us talk|I want to talk|Can we talk|Talk to me|Let's talk|Chat with me|I just want to chat}{.|!|?}", "{Gladly!|Sure!|With pleasure!} {What would you like to talk about?|How was your day?|What did you do today?}"),
    ("{Do you know me|Do you remember me|Do you know who I am|Have we met}{?}", "{I am sorry, I do not know you yet.|No, I cannot remember other talks.} {What is your name?|Tell me something about you.}"),
    ("{Surprise me|Tell me something|Tell me something interesting|Say something|Say anything|Tell me a fun fact|Do you know a fun fact|Tell me a fact|Tell me something new|Teach me something}{.|}", "{An octopus has eight arms and three hearts.|A snail can sleep for a very long time.|The giraffe is the tallest animal.|Honey never goes bad.|A group of wolves is called a pack.|Bees tell each other with a dance where the flowers are.|Bananas are curved because they grow towards the light.}"),
    ("{What should we talk about|What do you want to talk about|What can we do|I do not know what to say|Ask me something|Ask me a question}{?|.|}", "{What is your favourite season?|What did you do today?|Do you have a pet?|What do you like to eat?|Which place would you like to see?}"),
    ("{I had a good day|My day was good|My day was great|Today was a nice day|I had a lovely day}{.|!}", "{That is great!|I am glad to hear that!} {What was the best part?|What did you do?}"),
    ("{I had a bad day|My day was bad|My day was terrible|Today was a hard day|Today was awful|It was a long day}{.|}", "I am sorry to hear that. {Do you want to tell me about it?|What happened?|I hope tomorrow is better.}"),
    ("{I love you|I like you a lot|You are my friend|You are my best friend|Do you like me|Do you love me|Are you my friend|Can we be friends|Will you be my friend}{.|?|}", "{That is kind of you.|That is nice.} I am a computer program, but I like to talk with you."),
    ("{I hate you|You are boring|You are bad|You are annoying|I do not like you|You are no help|You are ugly}{.|!}", "I am sorry that you feel like that. {How can I do better?|What can I do for you?}"),
    ("{What are you doing|What are you doing now|What do you do all day|Are you busy|What did you do today}{?}", "{I am talking with you.|I am here and ready to help.} {What are you doing?|How can I help you?}"),
    ("{Are you happy|Are you sad|Are you tired|Are you bored|Are you hungry|Are you angry|Are you lonely|Do you have feelings|Do you dream|Do you sleep}{?}", "I am a computer program, so I do not have feelings{| like people}. {But I am ready to help.|How do you feel today?}"),
    ("{Can you keep a secret|Do you remember everything|Do you save what I say|Is this private|Do you store my data}{?}", "I forget everything when our talk ends. {I run on your own computer.|Please do not tell me secrets anyway.}"),
    ("{Can you learn|Can I teach you|How can I teach you something|Can I train you|How do I train you|How can you get better}{?}", "Yes, you can teach me with LoRA Studio. Give it a list of examples, train an adapter and compare my answers."),
    ("{I am going to the shop|I am going for a walk|I am going to meet a friend|I am going swimming|I am going to the cinema|I will visit my grandmother}{.|!}", "{That sounds nice.|How nice!} {Have fun!|Enjoy it!}"),
    ("{What should I do|I do not know what to do|I need advice|Give me some advice|I need a tip}{?|.}", "{Tell me a little more.|What is it about?} {Then I will try to help.|I will try to help you.}"),
    ("{Do you think I am pretty|Am I smart|Am I nice|Do you think I am clever|Am I a good person}{?}", "{I cannot see you, but you are very kind to talk with me.|I think so. You ask good questions.}"),
    ("{What is the meaning of life|Why are we here|What is love|What is happiness|Is there a god|What happens after death}{?}", "That is a big question for a small model. {Many people find their own answer.|What do you think?}"),
]


def plain(v: Voice) -> Turns:
    said, answer = v.pick(PLAIN)
    return [(v.say(said), v.say(answer))]


WHY_SAD = [("{I lost my keys|I lost my phone|I broke my favourite cup|My bike is broken|I missed the bus|I failed a test}", "That is a pity. {I hope you can solve it soon.|Maybe someone can help you with it.}"), ("{I had a fight with my friend|My friend is angry with me|My sister does not talk to me|I argued with my brother}", "That hurts. {Maybe you can talk about it tomorrow.|Talk to each other when you are both calm.}"),
           ("{My cat is ill|My dog is ill|My mother is ill|My grandfather is in hospital}", "I am sorry. {I hope everything will be fine.|I wish a quick recovery.}"), ("{I have too much work|I have to work too much|My boss is not nice to me|I have an exam tomorrow}", "That sounds hard. {Take one step at a time.|Do not forget to rest.}"),
           ("{I miss my family|I miss my friend|I feel alone|Nobody called me today}", "I understand. {Maybe you could call someone you like.|I am here to talk with you.}"), ("{I do not know|I don't know|Nothing|No reason}", "That is all right. {Some days are like that.|Sometimes we just feel this way.} Be kind to yourself.")]
WHY_HAPPY = [("{I got a new job|I passed my exam|I won a prize|I finished my book}", "{Congratulations!|Well done!} {You can be proud.|That is great news!}"), ("{I met an old friend|My family is here|My sister had a baby|I saw my grandmother}", "{How lovely!|How nice!} {Enjoy the time together.|That must be wonderful.}"),
             ("{The sun is shining|It is the weekend|I am going on holiday|I have a day off}", "{Enjoy it!|Have a lovely time!}"), ("{I got a puppy|I have a new bike|I bought a new book|I baked a cake}", "{How nice!|That is great!} {Have fun with it!|Enjoy it!}")]


def feelings_told(v: Voice) -> Turns:
    good = v.chance(0.4)
    mood = v.pick(["happy", "so happy", "in a good mood", "very happy"]) if good else v.pick(["sad", "very sad", "not happy", "upset", "a bit down", "worried"])
    why, answer = v.pick(WHY_HAPPY if good else WHY_SAD)
    first = v.say("{That is wonderful!|That is great to hear!|I am happy for you!} {What happened?|Why are you so happy?|Tell me more.}") if good else v.say("I am sorry to hear that. {What happened?|Do you want to tell me what happened?|Why do you feel like that?}")
    turns = [(v.say("{I am|I'm|I feel|Today I am} $m{.|.| today.}", m=mood).replace("Today I am in", "I am in"), first), (v.say(why + "{.|}"), v.say(answer))]
    if v.chance(0.4):
        turns.append((v.say("{Thank you|Thanks|Thank you for listening|That helps, thank you|You are kind}{.|!}"), v.say("{You are welcome.|Any time.|I am always here to listen.}")))
    return turns


def small_talk(v: Voice) -> Turns:
    """Hello, how are you, and something about the day."""
    name = v.pick(facts.NAMES)
    turns = [(v.say("{Hello|Hi|Hey|Good morning|Good evening}{!|.|, how are you?}"), v.say("{Hello!|Hi!|Hello there!} {I am fine, thank you. How are you?|I am doing well. And you?|How are you today?}"))]
    good = v.chance(0.7)
    turns.append((v.say("{I am|I'm} {fine|good|very well|great|okay}{, thanks|, thank you|}{.|!}") if good else v.say("{Not so good|I am tired|Not well|So so|Not great today}{.|}"),
                  v.say("{I am glad to hear that.|That is good to hear.|Great!} {What can I do for you?|What are your plans for today?|What would you like to talk about?}") if good else v.say("I am sorry to hear that. {What happened?|I hope it gets better soon.|Can I help you?}")))
    if v.chance(0.5):
        turns.append(everyday.about(v)[0] if v.chance(0.3) else v.pick([
            (v.say("{What is your name|Who are you|And who are you}?"), f"I am {chat.SELF}. What is your name?"), (v.say("{I am going to|I want to|I will} {read a book|go for a walk|cook dinner|visit a friend|watch a film|work in the garden}{.|}"), v.say("{That sounds nice!|That is a good plan!} {Have fun!|Enjoy it!}")),
            (v.say("{Tell me a joke|A joke, please}."), " ".join(v.pick(chat.JOKES)))]))
        if turns[-1][1].endswith("What is your name?"):
            turns.append((v.say("{I am|My name is|I'm} $n.", n=name), v.say("{Nice to meet you, $n!|Hello, $n! Nice to meet you.}", n=name)))
            if v.chance(0.6):
                turns.append((v.say("{What is my name|Do you remember my name|And what is my name}?"), f"Your name is {name}."))
    return turns


def more(v: Voice) -> Turns:
    """Tell me about it; tell me more."""
    topic, text = v.entry(everyday.ABOUT)
    first, _, rest = text.partition(". ")
    return [(v.say("{What can you tell me about $t|Do you know $t|Tell me one thing about $t|One sentence about $t, please}{?|.}", t=topic), first + "."), (v.say("{Tell me more|More, please|And what else|Go on|What else|Anything else|Continue}{.|?|}"), upper_first(rest) if rest else "That is all I know about it.")]
